//! Names of images, with Docker's defaults: `app` is
//! `docker.io/library/app:latest`.

use std::fmt;
use std::str::FromStr;

use oci_client::Reference;

use crate::digest::Digest;

/// How the distribution protocol and the lifecycle call Docker Hub.
pub const DOCKER_HUB: &str = "index.docker.io";

/// The name of an image in a registry.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef {
    registry: String,
    repository: String,
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Version {
    Tag(String),
    Digest(Digest),
}

/// A text is no name of an image.
#[derive(Debug, thiserror::Error)]
#[error("{name:?} is not an image reference: {reason}")]
pub struct BadReference {
    name: String,
    reason: String,
}

impl ImageRef {
    /// Host and port of the registry; Docker Hub is [`DOCKER_HUB`].
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path within the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// A tag, or a digest: what follows `/manifests/` in a request.
    pub fn version(&self) -> String {
        match &self.version {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(digest) => digest.to_string(),
        }
    }

    /// The digest, when the reference has one.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.version {
            Version::Tag(_) => None,
            Version::Digest(digest) => Some(digest),
        }
    }

    /// The registry as people write it: `docker.io`, `localhost:5000`.
    pub fn registry_name(&self) -> &str {
        registry_name(&self.registry)
    }

    /// The shortest form that means the same.
    pub fn familiar(&self) -> String {
        let repository = &self.repository;
        let name = if self.registry == DOCKER_HUB {
            let short = repository.strip_prefix("library/");
            short.unwrap_or(repository).to_owned()
        } else {
            format!("{}/{repository}", self.registry)
        };
        match &self.version {
            Version::Tag(tag) if tag == "latest" => name,
            Version::Tag(tag) => format!("{name}:{tag}"),
            Version::Digest(digest) => format!("{name}@{digest}"),
        }
    }

    /// The same repository at a digest.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        let version = Version::Digest(digest);
        Self {
            version,
            ..self.clone()
        }
    }
}

/// A registry as people write it.
pub fn registry_name(registry: &str) -> &str {
    if registry == DOCKER_HUB {
        "docker.io"
    } else {
        registry
    }
}

/// The canonical form: `index.docker.io/library/app:latest`.
impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match self.version {
            Version::Tag(_) => ':',
            Version::Digest(_) => '@',
        };
        let (registry, repository) = (&self.registry, &self.repository);
        write!(f, "{registry}/{repository}{separator}{}", self.version())
    }
}

impl fmt::Debug for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ImageRef {
    type Err = BadReference;

    fn from_str(name: &str) -> Result<Self, BadReference> {
        let refuse = |reason: String| BadReference {
            name: name.to_owned(),
            reason,
        };
        let parsed: Reference = name
            .parse()
            .map_err(|error: oci_client::ParseError| refuse(error.to_string()))?;
        let registry = match parsed.registry() {
            "docker.io" | "registry-1.docker.io" => DOCKER_HUB,
            other => other,
        };
        let version = match parsed.digest() {
            Some(digest) => {
                Version::Digest(digest.parse().map_err(|error| refuse(format!("{error}")))?)
            }
            None => Version::Tag(parsed.tag().unwrap_or("latest").to_owned()),
        };
        let mut repository = parsed.repository().to_owned();
        if registry == DOCKER_HUB && !repository.contains('/') {
            repository = format!("library/{repository}");
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            version,
        })
    }
}

impl From<BadReference> for protocol::Failure {
    fn from(error: BadReference) -> Self {
        Self::from_error(protocol::FailureKind::Invalid, &error)
            .with_hint("an image is named like `app`, `me/app:1.0` or `localhost:5000/app`")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn names_have_one_canonical_and_one_familiar_form() {
        let digest = Digest::of(b"");
        let at = format!("ghcr.io/me/app@{digest}");
        for (text, canonical, familiar) in [
            ("app", "index.docker.io/library/app:latest", "app"),
            (
                "docker.io/library/app",
                "index.docker.io/library/app:latest",
                "app",
            ),
            (
                "heroku/builder:24",
                "index.docker.io/heroku/builder:24",
                "heroku/builder:24",
            ),
            (
                "localhost:5000/app",
                "localhost:5000/app:latest",
                "localhost:5000/app",
            ),
            (&at, &at, &at),
        ] {
            let name: ImageRef = text.parse().unwrap();
            assert_eq!(name.to_string(), canonical);
            assert_eq!(name.familiar(), familiar);
            assert_eq!(canonical.parse::<ImageRef>().unwrap(), name);
        }
    }

    #[test]
    fn bad_names_are_refused_by_name() {
        for text in ["", "App", "a b", "app:", "app@sha256:12", "-/x", "a/../b"] {
            let error = text.parse::<ImageRef>().unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
