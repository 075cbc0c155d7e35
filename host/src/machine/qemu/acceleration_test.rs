//! Tests whether QEMU can execute instructions with an accelerator: it starts
//! QEMU's firmware, which needs no guest.

use std::io::Read as _;
use std::process::{ChildStdout, Command, Stdio};

use protocol::build_id::Architecture;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::command_line::Acceleration;

/// The firmware writes its first bytes within this time, on a busy system too.
const DEADLINE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};
/// QEMU's options for a machine that has only the device to which the firmware
/// writes.
const MACHINE: [&str; 14] = [
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-machine",
    "q35",
    "-m",
    "128M",
    "-chardev",
    "stdio,id=words",
    "-device",
    "isa-debugcon,iobase=0x402,chardev=words",
    "-name",
    "locald-trial",
];

/// Starts the firmware. Returns QEMU's message if it does not run. Only the
/// firmware of a PC writes something; for other machines there is no test.
pub(super) fn firmware(
    qemu: &str,
    guest: Architecture,
    acceleration: Acceleration,
) -> Result<(), String> {
    if guest != Architecture::X86_64 {
        return Ok(());
    }
    let (accelerator, processor) = match acceleration {
        Acceleration::Kvm => ("kvm", "host"),
        Acceleration::Emulation => ("tcg", "max"),
    };
    let mut command = Command::new(qemu);
    command
        .args(MACHINE)
        .args(["-accel", accelerator, "-cpu", processor])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let failed = |error: std::io::Error| error.to_string();
    let mut child = command.spawn().map_err(failed)?;
    let spoke = child.stdout.take().is_some_and(speaks);
    child.kill().map_err(failed)?;
    let output = child.wait_with_output().map_err(failed)?;
    if spoke {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| !line.trim().is_empty());
    Err(said.unwrap_or("its firmware does not run").to_owned())
}

fn speaks(mut output: ChildStdout) -> bool {
    let mut polled = [PollFd::new(&output, PollFlags::IN)];
    let is_ready = poll(&mut polled, Some(&DEADLINE)).is_ok_and(|count| count > 0);
    is_ready && output.read(&mut [0]).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulated_firmware_runs_and_what_is_no_qemu_says_why() {
        let guest = Architecture::X86_64;
        let tried = |qemu: &str| firmware(qemu, guest, Acceleration::Emulation);
        assert!(tried("/nonexistent").is_err());
        assert_eq!(tried("false"), Err("its firmware does not run".to_owned()));
        if which::which("qemu-system-x86_64").is_ok() {
            assert_eq!(tried("qemu-system-x86_64"), Ok(()));
        }
    }
}
