//! Decides which server may get a secret, and whose challenges count: a
//! registry's own origin.

use reqwest::Url;

/// Scheme, host and port of a registry, of a mirror or of a token server. An
/// account, and a token for it, goes only to its own origin. A redirect, a
/// `Location` or a challenge does not change that.
#[derive(Debug, Clone)]
pub(super) struct Origin(Url);

impl Origin {
    pub(super) fn of(url: &Url) -> Self {
        Self(url.clone())
    }

    /// Whether an address has this origin. For a plain HTTP origin, the same
    /// host by HTTPS counts, too, because servers redirect from one to the
    /// other.
    pub(super) fn owns(&self, url: &Url) -> bool {
        let is_own_port = |url: &Url| url.port().is_none();
        let is_upgraded = self.0.scheme() == "http"
            && url.scheme() == "https"
            && self.0.host() == url.host()
            && is_own_port(&self.0)
            && is_own_port(url);
        self.0.origin() == url.origin() || is_upgraded
    }

    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn owns(own: &str, other: &str) -> bool {
        Origin::of(&own.parse().unwrap()).owns(&other.parse().unwrap())
    }

    #[test]
    fn the_same_place_is_known_in_all_spellings() {
        for other in [
            "https://r.example/v2/",
            "https://R.EXAMPLE/v2/",
            "https://r.example:443/other?x=y",
            "https://user:pass@r.example/",
        ] {
            assert!(owns("https://r.example/", other), "{other}");
        }
        assert!(owns("http://r.example/", "https://r.example/v2/"));
    }

    #[test]
    fn other_places_are_not_the_registry() {
        for other in [
            "http://r.example/",
            "https://r.example:8443/",
            "https://cdn.r.example/",
            "https://example/",
            "https://r.example.evil.example/",
            "https://r.example./",
            "https://r.example@evil.example/",
            "https://evil.example/r.example/",
            "ftp://r.example/",
            "data:text/plain,r.example",
        ] {
            assert!(!owns("https://r.example/", other), "{other}");
        }
        assert!(!owns("http://r.example:5000/", "https://r.example:5000/"));
        assert!(!owns("http://r.example/", "https://r.example:5000/"));
        assert!(!owns("http://localhost:5000/", "http://127.0.0.1:5000/"));
    }
}
