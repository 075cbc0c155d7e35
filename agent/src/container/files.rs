//! The files of a container's `/etc` that depend on the machine.

use std::fmt::Write as _;

use super::message::{Attachment, ProvidedFile};
use super::spec::ContainerSpec;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What the agent provides for this container.
pub(super) fn provided(spec: &ContainerSpec, network: Attachment) -> Vec<ProvidedFile> {
    let mut files = vec![
        file("hostname", format!("{}\n", spec.hostname)),
        file("hosts", hosts(spec)),
    ];
    // Without the machine's network its name servers cannot be reached.
    if network == Attachment::Host {
        match fs_err::read_to_string(RESOLV_CONF) {
            Ok(content) => files.push(file("resolv.conf", content)),
            Err(error) => tracing::warn!(%error, "the container gets no name servers"),
        }
    }
    files
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
