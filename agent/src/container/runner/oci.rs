//! Describes the container for libcontainer: OCI runtime specification. It
//! lists the namespaces and the kernel's file systems. The process is locald's
//! init, which gets the payload from the runner's configuration.

use std::collections::HashSet;
use std::path::Path;

use libcontainer::oci_spec::OciSpecError;
use libcontainer::oci_spec::runtime::{
    Capability, Linux, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxNamespace,
    LinuxNamespaceBuilder, LinuxNamespaceType, Mount, MountBuilder, Process, ProcessBuilder,
    RootBuilder, Spec, SpecBuilder, UserBuilder,
};

use crate::container::message::RunnerConfig;
use crate::container::spec::Network;
use crate::kernel::namespace::cgroup::CGROUP;

/// The namespaces that libcontainer makes. The runner is already in the right
/// network namespace, and init makes the user namespace of the payload.
const NAMESPACES: [LinuxNamespaceType; 5] = [
    LinuxNamespaceType::Mount,
    LinuxNamespaceType::Pid,
    LinuxNamespaceType::Ipc,
    LinuxNamespaceType::Uts,
    LinuxNamespaceType::Cgroup,
];

/// Files that show or change the state of the whole machine.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The capabilities that init needs to set the payload's ids. Init then drops
/// them.
const CAPABILITIES: [Capability; 3] = [Capability::Setfcap, Capability::Setuid, Capability::Setgid];

/// The description of a container with this root file system.
pub(super) fn specification(
    config: &RunnerConfig,
    rootfs: &Path,
    cgroup: &Path,
) -> Result<Spec, OciSpecError> {
    let root = RootBuilder::default()
        .path(rootfs)
        .readonly(false)
        .build()?;
    let mut specification = SpecBuilder::default()
        .version("1.0.2")
        .root(root)
        .mounts(mounts(config.network, cgroup)?)
        .process(process()?)
        .hostname(config.hostname.clone())
        .linux(linux(&config.id)?)
        .build()?;
    specification.set_uid_mappings(None);
    specification.set_gid_mappings(None);
    Ok(specification)
}

fn process() -> Result<Process, OciSpecError> {
    let none = HashSet::new();
    let few = HashSet::from(CAPABILITIES);
    let capabilities = LinuxCapabilitiesBuilder::default()
        .bounding(few.clone())
        .effective(few.clone())
        .permitted(few)
        .inheritable(none.clone())
        .ambient(none)
        .build()?;
    let user = UserBuilder::default().uid(0_u32).gid(0_u32).build()?;
    // If PATH and HOME are set, libcontainer does not read the image for them.
    let env = ["PATH=/bin", "HOME=/"].map(str::to_owned).to_vec();
    let mut process = ProcessBuilder::default()
        .terminal(false)
        .user(user)
        .args(vec!["init".to_owned()])
        .env(env)
        .cwd("/")
        .capabilities(capabilities)
        .no_new_privileges(true)
        .build()?;
    process.set_rlimits(None);
    Ok(process)
}

fn linux(id: &str) -> Result<Linux, OciSpecError> {
    let namespaces: Vec<LinuxNamespace> = NAMESPACES
        .into_iter()
        .map(|kind| LinuxNamespaceBuilder::default().typ(kind).build())
        .collect::<Result<_, _>>()?;
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces)
        .masked_paths(MASKED.map(str::to_owned).to_vec())
        .readonly_paths(READ_ONLY.map(str::to_owned).to_vec())
        // Must not exist: libcontainer kills the processes in it if a start
        // fails.
        .cgroups_path(format!("/{id}"))
        .build()?;
    linux.set_resources(None);
    linux.set_devices(None);
    Ok(linux)
}

/// The kernel's file systems. `cgroup` replaces the machine's cgroup file
/// systems.
fn mounts(network: Network<()>, cgroup: &Path) -> Result<Vec<Mount>, OciSpecError> {
    let kernel = "nosuid,noexec,nodev";
    let mut mounts = vec![
        mount("/proc", "proc", kernel)?,
        mount("/dev", "tmpfs", "nosuid,strictatime,mode=755,size=65536k")?,
        // Without `gid=5`: a user namespace with one id has no such group.
        mount(
            "/dev/pts",
            "devpts",
            "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620",
        )?,
        mount(
            "/dev/shm",
            "tmpfs",
            "nosuid,noexec,nodev,mode=1777,size=65536k",
        )?,
        mount("/dev/mqueue", "mqueue", kernel)?,
    ];
    if network != Network::Host {
        mounts.push(mount("/sys", "sysfs", "nosuid,noexec,nodev,ro")?);
    }
    mounts.push(read_only(cgroup, CGROUP)?);
    Ok(mounts)
}

fn mount(target: &str, kind: &str, options: &str) -> Result<Mount, OciSpecError> {
    mount_from(Path::new(kind), target, kind, options)
}

fn read_only(source: &Path, target: &str) -> Result<Mount, OciSpecError> {
    let options = "bind,nosuid,noexec,nodev,ro";
    mount_from(source, target, "bind", options)
}

fn mount_from(
    source: &Path,
    target: &str,
    kind: &str,
    options: &str,
) -> Result<Mount, OciSpecError> {
    MountBuilder::default()
        .destination(target)
        .typ(kind)
        .source(source)
        .options(options.split(',').map(str::to_owned).collect::<Vec<_>>())
        .build()
}
