//! One registry, many spellings.

/// What docker's own files call docker.io.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

/// A registry by its host and port; all names of Docker Hub are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegistryKey(String);

impl RegistryKey {
    /// Reads any spelling: `docker.io`, `https://index.docker.io/v1/`,
    /// `https://gcr.io`, `localhost:5000`.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        let rest = text
            .split_once("://")
            .map_or(text.as_str(), |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or(rest);
        Self(match host {
            "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
                "docker.io".to_owned()
            }
            host => host.to_owned(),
        })
    }

    /// Whether a key of an `auths` table is of the whole registry, and not of
    /// one repository as podman also allows.
    pub(super) fn is_of_registry(text: &str) -> bool {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let path = rest
            .trim_end_matches('/')
            .split_once('/')
            .map(|(_, path)| path);
        matches!(path, None | Some("v1" | "v2"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under which credential helpers know the registry.
    pub(crate) fn server(&self) -> &str {
        match self.0.as_str() {
            "docker.io" => DOCKER_HUB_SERVER,
            host => host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RegistryKey;

    #[test]
    fn all_spellings_are_one_registry() {
        for text in [
            "docker.io",
            "index.docker.io",
            "https://index.docker.io/v1/",
            "https://registry-1.docker.io",
            "Docker.io/",
        ] {
            let key = RegistryKey::new(text);
            assert_eq!(key.as_str(), "docker.io", "{text}");
            assert_eq!(key.server(), "https://index.docker.io/v1/");
        }
        let local = RegistryKey::new("http://localhost:5000/v2/");
        assert_eq!(local.server(), "localhost:5000");
    }

    #[test]
    fn repositories_are_not_registries() {
        assert!(RegistryKey::is_of_registry("https://index.docker.io/v1/"));
        assert!(RegistryKey::is_of_registry("quay.io"));
        assert!(!RegistryKey::is_of_registry("quay.io/me"));
        assert!(!RegistryKey::is_of_registry("quay.io/me/shop"));
    }
}
