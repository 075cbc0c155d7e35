//! Computes the addresses of a registry and of its mirror.

use protocol::request::RegistrySettings;
use reqwest::Url;

use crate::images::reference::DOCKER_HUB;

/// The variable that a guest's init sets.
pub(crate) const LOOPBACK_OF_HOST: &str = "LOCALD_LOOPBACK_OF_HOST";

/// A setting does not hold the address of a registry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadAddress {
    #[error("{0:?} is not the address of a registry")]
    NoAddress(String),
    #[error("the mirror's address holds an account (save it with `locald login` instead)")]
    Account,
}

/// The addresses of a registry's mirror, if it has one, and of the registry
/// itself.
pub(super) fn bases(
    registry: &str,
    settings: Option<&RegistrySettings>,
) -> Result<(Option<Url>, Url), BadAddress> {
    let plain = settings.is_some_and(|settings| settings.insecure) || is_local(registry);
    let scheme = if plain { "http" } else { "https" };
    // References name another host than the one that serves Docker Hub.
    let host = if registry == DOCKER_HUB {
        "registry-1.docker.io".to_owned()
    } else if is_local(registry)
        && let Some(address) = loopback_of_host()
    {
        let port = registry.rsplit_once(':').map_or("80", |(_, port)| port);
        format!("{address}:{port}")
    } else {
        registry.to_owned()
    };
    let mirror =
        settings.and_then(|settings| settings.mirror.as_deref().zip(settings.mirror_name()));
    let mirror = mirror.map(|(mirror, name)| mirror_address(mirror, name));
    Ok((mirror.transpose()?, parse(&format!("{scheme}://{host}"))?))
}

/// Parses the address of a mirror. Its host must be the name under which locald
/// looks for the mirror's account.
fn mirror_address(mirror: &str, name: &str) -> Result<Url, BadAddress> {
    let url = if mirror.contains("://") {
        parse(mirror)?
    } else {
        parse(&format!("https://{mirror}"))?
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadAddress::Account);
    }
    let named = parse(&format!("{}://{name}", url.scheme()))?;
    if named.origin() != url.origin() {
        return Err(BadAddress::NoAddress(mirror.to_owned()));
    }
    Ok(url)
}

fn parse(text: &str) -> Result<Url, BadAddress> {
    let url = text.parse().ok();
    let url = url.filter(|url: &Url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| BadAddress::NoAddress(text.to_owned()))
}

/// In a virtual machine `localhost` means the user's host. Returns the address
/// at which the guest reaches that host.
fn loopback_of_host() -> Option<String> {
    std::env::var(LOOPBACK_OF_HOST)
        .ok()
        .filter(|it| !it.is_empty())
}

/// Whether a registry is on this machine. All clients use plain HTTP for it.
fn is_local(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

/// Whether a host is `localhost` or an address of a private network. Other host
/// names do not count, because they may resolve to any address.
pub(super) fn is_internal(host: &str) -> bool {
    use std::net::IpAddr;
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => match address.to_canonical() {
            IpAddr::V4(it) => {
                it.is_loopback() || it.is_private() || it.is_link_local() || it.is_unspecified()
            }
            IpAddr::V6(it) => {
                it.is_loopback()
                    || it.is_unique_local()
                    || it.is_unicast_link_local()
                    || it.is_unspecified()
            }
        },
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn settings(mirror: &str) -> RegistrySettings {
        RegistrySettings {
            name: "docker.io".to_owned(),
            mirror: Some(mirror.to_owned()),
            insecure: false,
            ca: None,
        }
    }

    #[test]
    fn plain_http_is_spoken_on_this_machine_only() {
        for (registry, url) in [
            ("localhost:5000", "http://localhost:5000/"),
            ("ghcr.io", "https://ghcr.io/"),
            ("localhost.example", "https://localhost.example/"),
        ] {
            let (mirror, base) = bases(registry, None).unwrap();
            assert_eq!((mirror, base.as_str()), (None, url));
        }
    }

    #[test]
    fn addresses_of_a_network_of_ones_own_are_known() {
        for host in [
            "localhost",
            "127.0.0.2",
            "10.1.2.3",
            "192.168.0.1",
            "169.254.169.254",
        ] {
            assert!(is_internal(host), "{host}");
        }
        for host in [
            "[::1]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "0.0.0.0",
        ] {
            assert!(is_internal(host), "{host}");
        }
        for host in [
            "auth.docker.io",
            "8.8.8.8",
            "[2606:4700::1]",
            "localhost.example",
        ] {
            assert!(!is_internal(host), "{host}");
        }
    }

    #[test]
    fn a_mirror_has_an_address_of_its_own() {
        for (mirror, url) in [
            ("http://localhost:5000/", "http://localhost:5000/"),
            ("mirror.example/all", "https://mirror.example/all"),
            ("https://Mirror.example:443", "https://mirror.example/"),
        ] {
            let (found, base) = bases(DOCKER_HUB, Some(&settings(mirror))).unwrap();
            assert_eq!(found.unwrap().as_str(), url);
            assert_eq!(base.as_str(), "https://registry-1.docker.io/");
        }
    }

    /// The account must belong to the host that receives the request.
    #[test]
    fn a_mirror_is_asked_under_its_own_name() {
        let account = bases(
            DOCKER_HUB,
            Some(&settings("https://me:secret@mirror.example")),
        );
        assert_eq!(account, Err(BadAddress::Account));
        for mirror in [
            "https:evil.example://ghcr.io",
            "ftp://mirror.example",
            "https://",
        ] {
            let refused = bases(DOCKER_HUB, Some(&settings(mirror)));
            assert!(
                matches!(refused, Err(BadAddress::NoAddress(_))),
                "{mirror}: {refused:?}"
            );
        }
    }
}
