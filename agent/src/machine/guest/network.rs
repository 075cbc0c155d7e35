//! Sets up the network of a guest: QEMU's user-mode network has fixed
//! addresses.

use std::io;
use std::process::Command;

use super::{Failed, Step};

/// The address of the host. Services on the host's loopback address answer
/// here.
pub(super) const GATEWAY: &str = "10.0.2.2";
const ADDRESS: &str = "10.0.2.15";
/// QEMU's name server. It forwards queries to the host's current name servers.
const NAME_SERVER: &str = "10.0.2.3";

pub(super) fn configure() -> Result<(), Failed> {
    busybox(&["ifconfig", "lo", "127.0.0.1", "up"])?;
    let Some(device) = device().step(|| "list network devices".to_owned())? else {
        return Ok(());
    };
    busybox(&[
        "ifconfig",
        &device,
        ADDRESS,
        "netmask",
        "255.255.255.0",
        "up",
    ])?;
    busybox(&["route", "add", "default", "gw", GATEWAY])?;
    let servers = format!("nameserver {NAME_SERVER}\n");
    fs_err::write("/etc/resolv.conf", servers).step(|| "write /etc/resolv.conf".to_owned())
}

/// The first network device except the loopback device.
fn device() -> io::Result<Option<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir("/sys/class/net")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| name != "lo");
    names.sort();
    Ok(names.into_iter().next())
}

fn busybox(arguments: &[&str]) -> Result<(), Failed> {
    let step = || format!("run busybox {}", arguments.join(" "));
    let output = Command::new("/bin/busybox").args(arguments).output();
    let output = output.step(step)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(said)).step(step)
}
