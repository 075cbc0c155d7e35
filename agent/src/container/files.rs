//! Computes the files of a container's `/etc` that depend on the machine.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::message::ProvidedFile;
use super::spec::{ContainerSpec, Namespace, Network};

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The files that the agent provides for a container.
pub(super) fn provided(spec: &ContainerSpec) -> Vec<ProvidedFile> {
    let mut files = vec![
        file("hostname", format!("{}\n", spec.hostname)),
        file("hosts", hosts(spec)),
    ];
    files.extend(name_servers(&spec.network).map(|content| file("resolv.conf", content)));
    files
}

/// The content of `resolv.conf`; absent if the container cannot reach the
/// machine's network.
fn name_servers(network: &Network) -> Option<String> {
    let server = match network {
        Network::Host => None,
        Network::None => return None,
        Network::Namespace(Namespace { name_server, .. }) => Some((*name_server)?),
    };
    match fs_err::read_to_string(RESOLV_CONF) {
        Ok(content) => Some(match server {
            Some(server) => with_server(&content, server),
            None => content,
        }),
        Err(error) => {
            tracing::warn!(%error, "the container gets no name servers");
            None
        }
    }
}

/// Replaces the name servers in a `resolv.conf`. The machine's own may listen
/// on its loopback address only.
fn with_server(content: &str, server: IpAddr) -> String {
    let lines = content
        .lines()
        .filter(|line| !line.starts_with("nameserver"));
    let first = format!("nameserver {server}");
    let lines: Vec<&str> = std::iter::once(&*first).chain(lines).collect();
    lines.join("\n") + "\n"
}

fn file(name: &str, content: String) -> ProvidedFile {
    ProvidedFile {
        name: name.to_owned(),
        target: format!("/etc/{name}").into(),
        content,
    }
}

fn hosts(spec: &ContainerSpec) -> String {
    let mut content =
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    let own = [(spec.hostname.clone(), [127, 0, 0, 1].into())];
    for (name, address) in own.iter().chain(&spec.extra_hosts) {
        // Writing to a string cannot fail.
        let _ = writeln!(content, "{address}\t{name}");
    }
    content
}
