//! Parses references to images, with Docker's defaults: `app` is
//! `docker.io/library/app:latest`.

use std::fmt;
use std::str::FromStr;

use crate::images::digest::Digest;

/// The name of Docker Hub in the distribution protocol and in the lifecycle.
pub const DOCKER_HUB: &str = "index.docker.io";

/// The reference of an image in a registry.
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

/// A text is not a valid reference.
#[derive(Debug, thiserror::Error)]
#[error("{name:?} is not an image reference: {reason}")]
pub struct BadReference {
    name: String,
    reason: &'static str,
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

    /// The tag, or the digest if there is one. It follows `/manifests/` in a
    /// request.
    pub fn version(&self) -> String {
        match &self.version {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(digest) => digest.to_string(),
        }
    }

    /// The digest, if the reference has one.
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

    /// The shortest equivalent form: `app`, `quay.io/me/app:1.0`.
    pub fn familiar(&self) -> String {
        let repository = &self.repository;
        let name = if self.registry == DOCKER_HUB {
            let short = repository.strip_prefix("library/");
            match (short, repository.split_once('/')) {
                (Some(short), _) if !short.contains('/') => short.to_owned(),
                // Without the registry, the first component would be one.
                (_, Some((first, _))) if is_registry(first) => format!("docker.io/{repository}"),
                _ => repository.clone(),
            }
        } else {
            format!("{}/{repository}", self.registry)
        };
        match &self.version {
            Version::Tag(tag) if tag == "latest" => name,
            Version::Tag(tag) => format!("{name}:{tag}"),
            Version::Digest(digest) => format!("{name}@{digest}"),
        }
    }

    /// A reference to the same repository, with a digest.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        let version = Version::Digest(digest);
        Self {
            version,
            ..self.clone()
        }
    }
}

/// The name of a registry, as people write it.
pub fn registry_name(registry: &str) -> &str {
    if registry == DOCKER_HUB {
        "docker.io"
    } else {
        registry
    }
}

/// Writes the canonical form: `index.docker.io/library/app:latest`.
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
        parse(name).map_err(|reason| BadReference {
            name: name.to_owned(),
            reason,
        })
    }
}

/// The most characters of registry and repository together.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// Parses the grammar of the distribution project's `reference` package.
fn parse(text: &str) -> Result<ImageRef, &'static str> {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let digest = digest.map(str::parse::<Digest>).transpose();
    let digest = digest.map_err(|_| "its digest is not `sha256:` and 64 hexadecimal digits")?;
    let (registry, path) = match named.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DOCKER_HUB, named),
    };
    let (path, tag) = match path.rsplit_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (path, None),
    };
    let registry = match registry {
        "docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    };
    if !is_host(registry) {
        return Err("its registry is not a host and port");
    }
    if !path.split('/').all(is_component) {
        return Err(
            "its path has other characters than lower-case letters, digits, and single separators between",
        );
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err("its tag has other characters than letters, digits, `_`, `.` and `-`");
    }
    let is_short = registry == DOCKER_HUB && !path.contains('/');
    let prefix = if is_short { "library/" } else { "" };
    let repository = format!("{prefix}{path}");
    // The limit applies to the canonical form, too.
    if registry.len() + repository.len() >= LONGEST_NAME {
        return Err("it is too long");
    }
    Ok(ImageRef {
        registry: registry.to_owned(),
        repository,
        version: match digest {
            Some(digest) => Version::Digest(digest),
            None => Version::Tag(tag.unwrap_or("latest").to_owned()),
        },
    })
}

/// Whether the first component of a reference is a registry, and not a part of
/// the repository.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':'])
        || first == "localhost"
        || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
    let is_v6 = |host: &str| {
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        inner.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let ends = !label.starts_with('-') && !label.ends_with('-');
        !label.is_empty() && ends && label.bytes().all(known)
    };
    port.is_none_or(is_port) && (is_v6(host) || host.split('.').all(is_label))
}

/// Whether a text is `[a-z0-9]+` with one of `.`, `_`, `__` or any dashes
/// between.
fn is_component(component: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let between = component.split(|it: char| it.is_ascii_lowercase() || it.is_ascii_digit());
    let is_separator =
        |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    plain(*first) && plain(*last) && between.into_iter().all(is_separator)
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let rest = |byte: u8| word(byte) || byte == b'.' || byte == b'-';
    let begins_well = tag.bytes().next().is_some_and(word);
    begins_well && tag.len() <= LONGEST_TAG && tag.bytes().all(rest)
}

impl From<BadReference> for protocol::Failure {
    fn from(error: BadReference) -> Self {
        Self::from_error(protocol::FailureKind::Invalid, &error)
            .with_hint("an image is named like `app`, `me/app:1.0` or `localhost:5000/app`")
    }
}

/// The short form of a reference in the store.
pub fn familiar(name: &str) -> String {
    let parsed = name.parse::<ImageRef>();
    parsed.map_or_else(|_| name.to_owned(), |name| name.familiar())
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
            (
                "docker.io/ghcr.io/me",
                "index.docker.io/ghcr.io/me:latest",
                "docker.io/ghcr.io/me",
            ),
            (
                "library/me/app",
                "index.docker.io/library/me/app:latest",
                "library/me/app",
            ),
        ] {
            let name: ImageRef = text.parse().unwrap();
            assert_eq!(name.to_string(), canonical);
            assert_eq!(name.familiar(), familiar);
            assert_eq!(canonical.parse::<ImageRef>().unwrap(), name);
            assert_eq!(familiar.parse::<ImageRef>().unwrap(), name);
        }
    }

    proptest::proptest! {
        /// Compares the result with that of the registry client's library.
        #[test]
        fn others_read_names_as_we_do(
            registry in "((localhost|[a-z]{1,3}|[a-z0-9-]{1,4}\\.[a-z]{2})(:[0-9]{1,4})?/)?",
            path in "[a-z0-9_-]{1,6}(/[a-z0-9._-]{1,6}){0,2}",
            tag in "(:[A-Za-z0-9_.-]{0,5})?",
        ) {
            let text = format!("{registry}{path}{tag}");
            let theirs = text.parse::<oci_client::Reference>();
            let ours = text.parse::<ImageRef>();
            proptest::prop_assert_eq!(theirs.is_ok(), ours.is_ok(), "{}", text);
            if let (Ok(theirs), Ok(ours)) = (theirs, ours) {
                proptest::prop_assert_eq!(theirs.tag(), Some(&*ours.version()));
                proptest::prop_assert_eq!(theirs.repository(), ours.repository());
            }
        }
    }

    #[test]
    fn bad_names_are_refused_by_name() {
        // Its canonical form is longer.
        let long = "a".repeat(240);
        for text in [
            "",
            "App",
            "a b",
            "app:",
            "app@sha256:12",
            "-/x",
            "a/../b",
            &long,
        ] {
            let error = text.parse::<ImageRef>().unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
