//! Finds the TCP ports on which the programs of a container listen.
//!
//! A container shares the machine's network. This module finds the container's
//! listeners by the descriptors of its processes. The kernel sends no event for
//! a new listener, so the module polls the kernel's table while a host asks for
//! ports.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use protocol::Event;

use crate::request::stream::{HostGone, RequestStream};

/// The interval between reads of the table.
const LOOK: Duration = Duration::from_millis(500);
/// The value of `st` for a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// A listening socket: its port and its inode.
type Listener = (u16, u64);

/// Notifies the host of ports that descendants of a process open and close.
/// Returns only if the host is gone.
pub(crate) async fn watch(runner: u32, stream: &RequestStream) -> Result<(), HostGone> {
    let (mut table, mut open) = (HashSet::new(), BTreeSet::new());
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let now = listeners();
        if now == table {
            continue;
        }
        let ports = ports_of(runner, &now);
        for port in ports.difference(&open) {
            stream.event(Event::PortOpened { port: *port }).await?;
        }
        for port in open.difference(&ports) {
            stream.event(Event::PortClosed { port: *port }).await?;
        }
        (table, open) = (now, ports);
    }
}

/// All listening sockets of this network namespace.
fn listeners() -> HashSet<Listener> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables.map(|path| fs_err::read_to_string(path).unwrap_or_default());
    texts
        .iter()
        .flat_map(|text| text.lines().filter_map(listener))
        .collect()
}

/// Parses a line of the table: `sl local_address rem_address st … inode`.
fn listener(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((port, fields.get(9)?.parse().ok()?))
}

/// The ports of listeners that a process or its descendants hold.
fn ports_of(ancestor: u32, listeners: &HashSet<Listener>) -> BTreeSet<u16> {
    let held: HashSet<u64> = descendants(ancestor)
        .into_iter()
        .flat_map(sockets)
        .collect();
    let held = listeners.iter().filter(|(_, inode)| held.contains(inode));
    held.map(|(port, _)| *port).collect()
}

fn descendants(ancestor: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs_err::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(pid) = pid
            && let Some(parent) = parent(pid)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![ancestor];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may contain any character, the later fields may not.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn sockets(pid: u32) -> Vec<u64> {
    let descriptors = fs_err::read_dir(format!("/proc/{pid}/fd"));
    let links = descriptors.into_iter().flatten().flatten();
    let inode = |link: std::path::PathBuf| {
        let text = link.to_str()?.strip_prefix("socket:[")?;
        text.strip_suffix(']')?.parse().ok()
    };
    links
        .filter_map(|entry| inode(fs_err::read_link(entry.path()).ok()?))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let own = std::process::id();
        assert!(ports_of(own, &listeners()).contains(&port));
        drop(socket);
        assert!(!ports_of(own, &listeners()).contains(&port));
    }

    #[test]
    fn only_listeners_of_the_table_count() {
        let line = "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001 0 4711 1";
        assert_eq!(listener(line), Some((8080, 4711)));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(listener("sl local_address rem_address st"), None);
    }
}
