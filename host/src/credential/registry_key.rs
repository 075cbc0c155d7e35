//! Normalises the names of registries and accounts, so that all spellings of
//! one registry are equal.

/// The key of docker.io in docker's own files.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

/// A registry by its host and port. All names of Docker Hub are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegistryKey(String);

impl RegistryKey {
    /// Normalises a name: `docker.io`, `https://index.docker.io/v1/`,
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

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name that credential helpers use for the registry.
    pub(crate) fn server(&self) -> &str {
        match self.0.as_str() {
            "docker.io" => DOCKER_HUB_SERVER,
            host => host,
        }
    }
}

/// A key of an `auths` table: a registry, or with podman a part of its
/// repositories (`quay.io`, `quay.io/me`, `quay.io/me/app`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountKey {
    /// The registry.
    pub(crate) registry: RegistryKey,
    /// Components of the repositories' path. Empty means all repositories.
    path: Vec<String>,
}

impl AccountKey {
    /// Normalises a name, as [`RegistryKey::new`] does.
    pub(crate) fn new(text: &str) -> Self {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let parts = rest.trim().split('/').skip(1);
        let mut path: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
        // `/v1` and `/v2` are addresses of the registry's API.
        if matches!(*path, ["v1" | "v2"]) {
            path.clear();
        }
        Self {
            registry: RegistryKey::new(text),
            path: path.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Whether this key includes all repositories of the other one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.registry == other.registry && other.path.starts_with(&self.path)
    }

    /// Returns the number of path components.
    pub(super) fn depth(&self) -> usize {
        self.path.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountKey, RegistryKey};

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
    fn a_part_of_a_registry_covers_what_is_below() {
        let covers = |key: &str, other: &str| AccountKey::new(key).covers(&AccountKey::new(other));
        for key in [
            "quay.io",
            "https://quay.io/v2/",
            "QUAY.io/me",
            "quay.io/me/shop",
        ] {
            assert!(covers(key, "quay.io/me/shop"), "{key}");
        }
        for key in ["quay.io/m", "quay.io/me/shop/x", "quay.io/ME", "other.io"] {
            assert!(!covers(key, "quay.io/me/shop"), "{key}");
        }
        assert!(!covers("quay.io/me", "quay.io"));
        assert!(covers(
            "https://index.docker.io/v1/",
            "docker.io/library/app"
        ));
    }
}
