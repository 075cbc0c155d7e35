//! Finds out what this system has and lacks for a QEMU machine.

use std::path::{Path, PathBuf};

use protocol::build_id::Architecture;
use protocol::event::{Check, Verdict};

use super::QemuError;
use super::acceleration_test;
use super::command_line::{Acceleration, Programs};
use super::error::package;
use super::folder::{MachineFolder, Transport};
use super::guest::Guest;
use crate::settings::GuestImage;

const KVM: &str = "/dev/kvm";
const VHOST: &str = "/dev/vhost-vsock";
const DEVICE: &str = "vhost-device-vsock";
/// Files in which systems keep trusted certificates.
const CERTIFICATES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Returns the name of QEMU's program for an architecture.
const fn qemu(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Aarch64 => "qemu-system-aarch64",
        Architecture::X86_64 => "qemu-system-x86_64",
    }
}

fn find(program: &'static str) -> Result<String, QemuError> {
    let found = which::which(program).map_err(|_| QemuError::Missing { program })?;
    Ok(found.display().to_string())
}

/// Returns the programs of a run, and the transport to its agent.
pub(super) fn programs(guest: Architecture) -> Result<(Programs, Transport), QemuError> {
    let qemu = find(qemu(guest))?;
    if let Some(cid) = kernel_vsock() {
        return Ok((Programs { qemu, device: None }, Transport::Kernel(cid)));
    }
    let device = Some(find(DEVICE)?);
    Ok((Programs { qemu, device }, Transport::Hybrid))
}

/// Returns a context id if the kernel has a vsock device that the user may use.
fn kernel_vsock() -> Option<u32> {
    is_usable(VHOST).then(|| {
        // The numbers below 1000 include reserved ones. If another machine has
        // the same number, QEMU reports it.
        1000 + std::process::id()
    })
}

fn is_usable(device: &str) -> bool {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).open(device).is_ok()
}

/// Finds `qemu-img`, which makes the data disk.
pub(super) fn image_tool() -> Result<String, QemuError> {
    find("qemu-img")
}

/// Returns the accelerations to try, best first. KVM may exist and not work. So
/// locald stores a failure of KVM until the kernel changes.
pub(super) fn accelerations(folder: &MachineFolder, guest: Architecture) -> Vec<Acceleration> {
    let known = fs_err::read_to_string(folder.acceleration()).unwrap_or_default();
    if guest != Architecture::own() || !is_usable(KVM) || known == broken_kvm() {
        return vec![Acceleration::Emulation];
    }
    vec![Acceleration::Kvm, Acceleration::Emulation]
}

/// Records that KVM does not work.
pub(super) fn note_broken_kvm(folder: &MachineFolder) {
    // If the write fails, the next start tries KVM again.
    let _ = fs_err::write(folder.acceleration(), broken_kvm());
}

fn broken_kvm() -> String {
    let system = rustix::system::uname();
    format!(
        "kvm does not work with {}\n",
        system.release().to_string_lossy()
    )
}

/// Returns the file with the certificates that this system trusts.
pub(super) fn certificates() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let known = CERTIFICATES.iter().map(PathBuf::from);
    named.into_iter().chain(known).find(|path| path.is_file())
}

/// Runs the checks of `vm doctor`.
pub(super) fn checks(folder: &MachineFolder, guest: Option<&GuestImage>) -> Vec<Check> {
    let program = |program: &'static str| match find(program) {
        Ok(path) => Check::good(program, path),
        Err(error) => Check::bad(program, error.to_string(), Some(package(program))),
    };
    let guest = Guest::find(guest, folder);
    let architecture = match &guest {
        Ok(Some(guest)) => guest.architecture,
        _ => Architecture::own(),
    };
    let mut checks = vec![program(qemu(architecture)), program("qemu-img")];
    if is_usable(VHOST) {
        checks.push(Check::good("vsock", format!("{VHOST} is usable")));
    } else {
        checks.push(program(DEVICE));
    }
    checks.push(kvm(folder, architecture));
    checks.push(guest_check(guest));
    checks.push(match certificates() {
        Some(path) => Check::good("certificates", path.display().to_string()),
        None => Check {
            verdict: Verdict::Degraded,
            remedy: Some("apt install ca-certificates".to_owned()),
            ..Check::good("certificates", "this system has none to give to the guest")
        },
    });
    checks
}

fn kvm(folder: &MachineFolder, guest: Architecture) -> Check {
    let slow = "builds take several times as long without it";
    let mut said = "QEMU could not start with it".to_owned();
    if accelerations(folder, guest).contains(&Acceleration::Kvm) {
        let qemu = find(qemu(guest)).unwrap_or_default();
        match acceleration_test::firmware(&qemu, guest, Acceleration::Kvm) {
            Ok(()) => return Check::good("KVM", format!("{KVM} is usable")),
            Err(error) => said = format!("QEMU cannot start with it: {error}"),
        }
        note_broken_kvm(folder);
    }
    let (detail, remedy) = if guest != Architecture::own() {
        (
            format!("the guest is for {}: {slow}", guest.name()),
            "vm-images/guest FOLDER",
        )
    } else if is_usable(KVM) {
        (
            format!("{said}: {slow}"),
            "another kernel or another version of QEMU may mend it",
        )
    } else if Path::new(KVM).exists() {
        (
            format!("{KVM} is not this user's to use: {slow}"),
            "sudo usermod -aG kvm \"$USER\", then log in again",
        )
    } else {
        (format!("there is no {KVM}: {slow}"), "sudo modprobe kvm")
    };
    Check {
        verdict: Verdict::Degraded,
        remedy: Some(remedy.to_owned()),
        ..Check::good("KVM", detail)
    }
}

fn guest_check(guest: Result<Option<Guest>, QemuError>) -> Check {
    match guest {
        Ok(Some(guest)) => {
            let folder = guest.kernel.parent().unwrap_or(Path::new("/"));
            Check::good("guest", folder.display().to_string())
        }
        Ok(None) => Check::good("guest", "the first start downloads it"),
        Err(error) => {
            let remedy = Some("vm-images/guest FOLDER".to_owned());
            Check::bad("guest", error.to_string(), remedy)
        }
    }
}
