//! Lists the registries of a build's images and the ports that a phase connects
//! to.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::images::reference::ImageRef;

/// Host names and ports of registries.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    /// Ports to listen on.
    pub ports: Vec<u16>,
    /// Host names that must resolve to the lifecycle's registry.
    pub hosts: Vec<String>,
}

impl Names {
    /// The hosts and ports of the registries of some images.
    pub fn of<'a>(images: impl IntoIterator<Item = &'a ImageRef>) -> Self {
        let mut ports = BTreeSet::new();
        let mut hosts = BTreeSet::new();
        for image in images {
            let registry = image.registry();
            let (host, port) = match registry.rsplit_once(':') {
                Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
                _ => (registry, None),
            };
            match port {
                Some(port) => {
                    ports.insert(port);
                }
                // The client chooses HTTP or HTTPS by the host name.
                None => ports.extend([80, 443]),
            }
            hosts.insert(host.to_owned());
        }
        Self {
            ports: ports.into_iter().collect(),
            hosts: hosts.into_iter().collect(),
        }
    }

    /// Host names that need an entry in `/etc/hosts`.
    pub fn foreign(&self) -> impl Iterator<Item = &String> {
        self.hosts.iter().filter(|host| {
            *host != "localhost" && host.trim_matches(['[', ']']).parse::<IpAddr>().is_err()
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn names_of_images_become_hosts_and_ports() {
        let images = [
            "app",
            "localhost:5000/run",
            "ghcr.io/x/y:1",
            "127.0.0.1:5000/z",
        ];
        let images: Vec<ImageRef> = images.iter().map(|name| name.parse().unwrap()).collect();
        let names = Names::of(&images);
        assert_eq!(names.ports, [80, 443, 5000]);
        let foreign: Vec<_> = names.foreign().cloned().collect();
        assert_eq!(foreign, ["ghcr.io", "index.docker.io"]);
    }
}
