//! What a program in a container is, and may not do.

use std::collections::HashMap;
use std::io;

use agent::container::{Access, User};
use agent::kernel::namespace::Privilege;

use rustix::net::ipproto::ICMP;
use rustix::net::{AddressFamily, SocketType};

use crate::stage::{Ended, Stage, USER, bind};

/// Makes this program try things out, inside of a container.
pub(crate) const PROBE: &str = "__probe";

pub(crate) const TESTS: &[crate::Test] = &[
    ("confinement::ids", |stage| Box::pin(ids(stage))),
    ("confinement::root_is_powerless", |stage| {
        Box::pin(root_is_powerless(stage))
    }),
    ("confinement::groups", |stage| Box::pin(groups(stage))),
    ("confinement::status", |stage| Box::pin(status(stage))),
    ("confinement::calls", |stage| Box::pin(calls(stage))),
    ("confinement::init_is_closed", |stage| {
        Box::pin(init_is_closed(stage))
    }),
    ("confinement::nothing_leaks_in", |stage| {
        Box::pin(nothing_leaks_in(stage))
    }),
];

async fn ids(stage: &Stage) {
    let ended = stage
        .run(stage.shell("id -u; id -g; hostname; echo $$; touch /tmp/x && stat -c %u /tmp/x /usr"))
        .await;
    let pid: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        pid.get(..3),
        Some(&["1001", "1001", "stage"][..]),
        "{ended:?}"
    );
    assert_ne!(
        pid.get(3),
        Some(&"1"),
        "the payload is not the first process"
    );
    assert_eq!(pid.get(4), Some(&"1001"), "{ended:?}");
}

async fn root_is_powerless(stage: &Stage) {
    let mut spec = stage.shell("id -u; grep -i ^cap /proc/self/status; chroot / true; echo $?");
    spec.user = User {
        uid: 0,
        gid: 0,
        groups: Vec::new(),
    };
    let ended = stage.run(spec).await;
    assert!(ended.stdout.starts_with("0\n"), "{ended:?}");
    assert!(!ended.stdout.ends_with("\n0\n"), "{ended:?}");
    assert_no_capabilities(&ended);
}

async fn groups(stage: &Stage) {
    let mut spec = stage.shell("id -G");
    spec.user.groups = vec![2001, 2002, USER];
    let ended = stage.run(spec).await;
    match stage.privilege {
        Privilege::Root => assert_eq!(ended.stdout, "1001 2001 2002\n", "{ended:?}"),
        // The groups of whoever started it are there, without a name.
        Privilege::Rootless => assert!(ended.stdout.starts_with("1001"), "{ended:?}"),
    }
}

async fn status(stage: &Stage) {
    let ended = stage.run(stage.shell("cat /proc/self/status")).await;
    let status: HashMap<&str, &str> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_once(":\t"))
        .collect();
    assert_eq!(status.get("Seccomp"), Some(&"2"));
    assert_eq!(status.get("Seccomp_filters"), Some(&"2"));
    assert_eq!(status.get("NoNewPrivs"), Some(&"1"));
    assert_eq!(status.get("SigBlk"), Some(&"0000000000000000"));
    assert_eq!(status.get("SigIgn"), Some(&"0000000000000000"));
    assert_no_capabilities(&ended);
}

fn assert_no_capabilities(ended: &Ended) {
    let sets: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with("Cap"))
        .collect();
    assert_eq!(sets.len(), 5, "{ended:?}");
    for set in sets {
        assert!(set.ends_with("\t0000000000000000"), "{set}");
    }
}

/// Runs [`probe`] in a container and returns what it found.
async fn probed(stage: &Stage) -> HashMap<String, String> {
    let mut spec = stage.spec(&["/probe", PROBE]);
    let program = std::env::current_exe().unwrap();
    spec.mounts.push(bind(program, "/probe", Access::ReadOnly));
    let ended = stage.run(spec).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines = ended.stdout.lines();
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, found)| (name.to_owned(), found.to_owned()))
        .collect()
}

async fn calls(stage: &Stage) {
    let found = probed(stage).await;
    for (name, ..) in CALLS {
        let expected = match *name {
            "clone3" | "unknown call" => "ENOSYS",
            "personality query" | "unshare files" => "ok",
            // In a namespace of one id there is no root to become.
            "setuid root" if stage.privilege == Privilege::Rootless => "EINVAL",
            _ => "EPERM",
        };
        assert_eq!(
            found.get(*name).map(String::as_str),
            Some(expected),
            "{name}"
        );
    }
    assert_eq!(found.get("raw socket").map(String::as_str), Some("EPERM"));
}

async fn init_is_closed(stage: &Stage) {
    let found = probed(stage).await;
    for path in ["root", "exe", "cwd", "fd/0", "mem", "environ", "ns/user"] {
        let path = format!("/proc/1/{path}");
        assert_eq!(
            found.get(&path).map(String::as_str),
            Some("EACCES"),
            "{path}"
        );
    }
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"] {
        let refused = found.get(path).map(String::as_str);
        assert!(
            // Not every kernel has the second one.
            matches!(refused, Some("EROFS" | "EACCES" | "ENOENT")),
            "{path}: {refused:?}"
        );
    }
}

async fn nothing_leaks_in(stage: &Stage) {
    let script = "env; ls /proc/self/fd; cat /proc/self/mountinfo; ls /proc | grep -c '^[0-9]'";
    let ended = stage.run(stage.shell(script)).await;
    let (before, processes) = ended.stdout.trim_end().rsplit_once('\n').unwrap();
    // Init, the shell, and the two of the pipeline.
    assert!(processes.parse::<u32>().unwrap() <= 4, "{processes}");
    assert!(!before.contains("CARGO"), "{before}");
    let descriptors: Vec<&str> = before
        .lines()
        .filter(|line| line.parse::<u32>().is_ok())
        .collect();
    // The fourth is the listing's own.
    assert_eq!(descriptors, ["0", "1", "2", "3"], "{before}");
}

/// A call by name, its number, and its first two arguments; the others are 0.
type Call = (&'static str, libc::c_long, libc::c_long, libc::c_long);

/// What [`probe`] tries out besides files: in a container only, for some of it
/// works outside.
const CALLS: &[Call] = &[
    ("mount", libc::SYS_mount, 0, 0),
    ("umount", libc::SYS_umount2, 0, 0),
    ("fsopen", libc::SYS_fsopen, 0, 0),
    ("move_mount", libc::SYS_move_mount, -1, 0),
    ("pivot_root", libc::SYS_pivot_root, 0, 0),
    ("chroot", libc::SYS_chroot, 0, 0),
    ("setns", libc::SYS_setns, 0, 0),
    ("unshare user", libc::SYS_unshare, 0x1000_0000, 0),
    ("unshare mount", libc::SYS_unshare, 0x2_0000, 0),
    ("unshare files", libc::SYS_unshare, 0x400, 0),
    ("clone user", libc::SYS_clone, 0x1000_0000, 0),
    ("clone3", libc::SYS_clone3, 0, 0),
    ("bpf", libc::SYS_bpf, 0, 0),
    ("keyctl", libc::SYS_keyctl, 0, 0),
    ("userfaultfd", libc::SYS_userfaultfd, 0, 0),
    ("io_uring", libc::SYS_io_uring_setup, 1, 0),
    ("perf", libc::SYS_perf_event_open, 0, 0),
    ("handle", libc::SYS_open_by_handle_at, -1, 0),
    ("ptrace init", libc::SYS_ptrace, 16, 1),
    ("TIOCSTI", libc::SYS_ioctl, 0, 0x5412),
    ("TIOCSTI high bits", libc::SYS_ioctl, 0, 0x1_0000_5412),
    ("TIOCLINUX", libc::SYS_ioctl, 0, 0x541c),
    ("vsock", libc::SYS_socket, 40, 1),
    ("personality", libc::SYS_personality, 0x0040_0000, 0),
    ("personality query", libc::SYS_personality, 0xffff_ffff, 0),
    ("sethostname", libc::SYS_sethostname, 0, 0),
    ("setuid root", libc::SYS_setuid, 0, 0),
    ("reboot", libc::SYS_reboot, 0, 0),
    ("unknown call", 9999, 0, 0),
];

/// Tries out what must be refused, and prints one line each.
pub(crate) fn probe() {
    for (name, number, first, second) in CALLS {
        // SAFETY: every pointer among the arguments is null or not looked at;
        // what is allowed by mistake has no effect on memory.
        let result = unsafe { libc::syscall(*number, *first, *second, 0_u64, 0_u64, 0_u64) };
        let error = (result < 0).then(io::Error::last_os_error);
        println!("{name}={}", outcome(error));
    }
    let raw = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ICMP));
    println!("raw socket={}", outcome(raw.err().map(io::Error::from)));
    for path in ["root", "exe", "cwd", "fd/0", "ns/user"] {
        let path = format!("/proc/1/{path}");
        println!("{path}={}", outcome(std::fs::read_link(&path).err()));
    }
    for path in ["mem", "environ"] {
        let path = format!("/proc/1/{path}");
        println!("{path}={}", outcome(std::fs::File::open(&path).err()));
    }
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"] {
        let opened = std::fs::File::options().write(true).open(path);
        println!("{path}={}", outcome(opened.err()));
    }
}

pub(crate) fn outcome(error: Option<io::Error>) -> String {
    error_name(error.map_or(0, |error| error.raw_os_error().unwrap_or(-1)))
}

fn error_name(number: i32) -> String {
    match number {
        0 => "ok".to_owned(),
        libc::EPERM => "EPERM".to_owned(),
        libc::EACCES => "EACCES".to_owned(),
        libc::ENOENT => "ENOENT".to_owned(),
        libc::EINVAL => "EINVAL".to_owned(),
        libc::EROFS => "EROFS".to_owned(),
        libc::ENOSYS => "ENOSYS".to_owned(),
        other => format!("error {other}"),
    }
}
