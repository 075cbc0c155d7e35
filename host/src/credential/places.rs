//! Lists the files that may hold accounts.

use std::ffi::OsString;
use std::path::PathBuf;

use directories::BaseDirs;

use crate::platform::home::Home;

/// Returns the files that may name accounts, in order of precedence: locald's
/// own, podman's, docker's.
pub(super) fn all(home: &Home, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let path = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let user = BaseDirs::new().map(|folders| folders.home_dir().to_owned());
    let mut places = vec![home.accounts.clone()];
    if let Some(file) = path("REGISTRY_AUTH_FILE") {
        places.push(file);
    } else {
        let runtime = path("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
        let config = user
            .as_ref()
            .map(|home| home.join(".config/containers/auth.json"));
        places.extend(runtime.into_iter().chain(config));
    }
    let docker = path("DOCKER_CONFIG").or_else(|| user.map(|home| home.join(".docker")));
    places.extend(docker.map(|folder| folder.join("config.json")));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> Vec<PathBuf> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        all(&Home::below("/own".as_ref()), lookup)
    }

    #[test]
    fn variables_name_the_files() {
        let found = places(&[("REGISTRY_AUTH_FILE", "/a.json"), ("DOCKER_CONFIG", "/d")]);
        let expected = ["/own/auth.json", "/a.json", "/d/config.json"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn the_usual_places_are_searched_without_them() {
        let found = places(&[("XDG_RUNTIME_DIR", "/run/user/1"), ("DOCKER_CONFIG", "")]);
        assert_eq!(found[0], PathBuf::from("/own/auth.json"));
        assert_eq!(found[1], PathBuf::from("/run/user/1/containers/auth.json"));
        assert!(
            found
                .last()
                .is_some_and(|path| path.ends_with(".docker/config.json"))
        );
    }
}
