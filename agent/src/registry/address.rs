//! Where a registry is.

use protocol::request::RegistrySettings;

use crate::reference::DOCKER_HUB;

/// The variable that a guest's init sets.
pub(crate) const LOOPBACK_OF_HOST: &str = "LOCALD_LOOPBACK_OF_HOST";

/// Base URLs of a registry's mirror and of itself.
pub(super) fn bases(
    registry: &str,
    settings: Option<&RegistrySettings>,
) -> (Option<String>, String) {
    let plain = settings.is_some_and(|settings| settings.insecure) || is_local(registry);
    let scheme = if plain { "http" } else { "https" };
    // The name in references is not the host that answers.
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
    let mirror = settings.and_then(|settings| settings.mirror.as_deref());
    let mirror = mirror.map(|mirror| {
        let mirror = mirror.trim_end_matches('/');
        if mirror.contains("://") {
            mirror.to_owned()
        } else {
            format!("https://{mirror}")
        }
    });
    (mirror, format!("{scheme}://{host}"))
}

/// In a virtual machine `localhost` means the host of its user: the address by
/// which the guest reaches that.
fn loopback_of_host() -> Option<String> {
    std::env::var(LOOPBACK_OF_HOST)
        .ok()
        .filter(|it| !it.is_empty())
}

/// Registries on this machine speak plain HTTP, as all clients agree.
fn is_local(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

/// Addresses that mean something else, or nothing, to others; a name may mean
/// anything.
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
    use super::*;

    #[test]
    fn plain_http_is_spoken_on_this_machine_only() {
        for (registry, url) in [
            ("localhost:5000", "http://localhost:5000"),
            ("ghcr.io", "https://ghcr.io"),
            ("localhost.example", "https://localhost.example"),
        ] {
            assert_eq!(bases(registry, None), (None, url.to_owned()));
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
        let settings = RegistrySettings {
            name: "docker.io".to_owned(),
            mirror: Some("http://localhost:5000/".to_owned()),
            insecure: false,
            ca: None,
        };
        assert_eq!(
            bases(DOCKER_HUB, Some(&settings)),
            (
                Some("http://localhost:5000".to_owned()),
                "https://registry-1.docker.io".to_owned()
            )
        );
    }
}
