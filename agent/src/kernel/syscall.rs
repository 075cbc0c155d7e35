//! Wraps the few system calls that containers need and that no crate offers in
//! a safe form.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The two sides of a fork.
#[derive(Debug)]
pub(crate) enum Forked {
    /// This is the new process.
    Child,
    /// This is the old process. Holds the id of the new one.
    Parent(Pid),
}

/// Forks a process that has one thread.
pub(crate) fn fork() -> io::Result<Forked> {
    assert_single_thread()?;
    // SAFETY: no other thread exists, so none can hold a lock that the child
    // would wait for.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Pid::from_raw(pid)
            .map(Forked::Parent)
            .ok_or_else(|| io::Error::other("fork returned no process id")),
    }
}

/// Fails if the process has more than one thread.
pub(crate) fn assert_single_thread() -> io::Result<()> {
    if fs_err::read_dir("/proc/self/task")?.take(2).count() == 1 {
        Ok(())
    } else {
        Err(io::Error::other("the process has more than one thread"))
    }
}

/// Ends the process at once, without destructors and exit handlers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Moves the calling thread into new namespaces.
pub(crate) fn unshare(namespaces: UnshareFlags) -> io::Result<()> {
    debug_assert!(!namespaces.contains(UnshareFlags::FILES));
    // SAFETY: the descriptor table stays shared, see the assertion.
    Ok(unsafe { rustix::thread::unshare_unsafe(namespaces) }?)
}

/// Blocks all signals, for [`next_signal`]. The block survives fork and exec.
pub(crate) fn block_signals() {
    // SAFETY: the set is initialised by `sigfillset` before it is read, and
    // no old set is asked for.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
    }
}

/// Resets all signals to their default effect and unblocks them. Otherwise the
/// executed program would inherit ignored and blocked signals.
pub(crate) fn reset_signals() {
    /// The kernel's own `sigaction`, all zero: the default effect.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: no handler of ours is installed, and none is installed here;
        // the structure is as large as the kernel's. The C library's own call
        // would refuse the two signals that it reserves. For those that cannot
        // be changed, it fails without an effect.
        unsafe {
            let none = ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), none, 8);
        }
    }
    // SAFETY: the set is initialised before it is read, and no old set is
    // asked for.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Waits for one of the blocked signals and returns its number.
pub(crate) fn next_signal() -> io::Result<i32> {
    wait_for_signal(ptr::null())
}

/// The same with a time limit; absent if no signal arrives in that time.
pub(crate) fn next_signal_within(time: Duration) -> io::Result<Option<i32>> {
    let time = libc::timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    match wait_for_signal(&raw const time) {
        Ok(signal) => Ok(Some(signal)),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `time` is null or points to a time.
fn wait_for_signal(time: *const libc::timespec) -> io::Result<i32> {
    // SAFETY: the set is initialised by `sigfillset` before it is read, no
    // details of the signal are asked for, and the time is null or there.
    let signal = unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigtimedwait(&raw const all, ptr::null_mut(), time)
    };
    if signal < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(signal)
}

/// Sends a signal by number, because real-time signals have no name.
pub(crate) fn kill(pid: Pid, signal: i32) -> io::Result<()> {
    send(pid.as_raw_pid(), signal)
}

/// Sends a signal to all processes of a group.
pub(crate) fn kill_group(group: Pid, signal: i32) -> io::Result<()> {
    send(-group.as_raw_pid(), signal)
}

fn send(to: i32, signal: i32) -> io::Result<()> {
    // SAFETY: `kill` touches no memory.
    match unsafe { libc::kill(to, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends a signal to all other processes of the PID namespace. This process
/// must be its first one.
pub(crate) fn kill_others(signal: i32) -> io::Result<()> {
    if std::process::id() != 1 {
        return Err(io::Error::other("not the first process of a namespace"));
    }
    // SAFETY: `kill` touches no memory.
    match unsafe { libc::kill(-1, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Closes all descriptors from `first` on.
///
/// The process must never use the owners of those descriptors again.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    // SAFETY: closing by number is sound here because the caller never uses,
    // nor drops, an owner of a descriptor from `first` on.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets attributes (`MOUNT_ATTR_*`) of a mount and of those below it.
pub(crate) fn set_mount_attributes(mount: impl AsFd, attributes: u64) -> io::Result<()> {
    mount_setattr(mount.as_fd(), attributes, 0)
}

/// Maps the ids of files in a detached mount, with the id maps of a user
/// namespace.
pub(crate) fn set_mount_id_map(mount: impl AsFd, namespace: impl AsFd) -> io::Result<()> {
    let namespace = u64::try_from(namespace.as_fd().as_raw_fd()).unwrap_or_default();
    mount_setattr(mount.as_fd(), libc::MOUNT_ATTR_IDMAP, namespace)
}

fn mount_setattr(mount: BorrowedFd<'_>, attributes: u64, userns_fd: u64) -> io::Result<()> {
    let wanted = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd,
    };
    // SAFETY: the path is a C string, and the structure has the size that is
    // passed with it; the kernel only reads both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Brings up the loopback device of the calling thread's network namespace.
pub(crate) fn bring_loopback_up() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: an all-zero `ifreq` is valid, the name is shorter than the
    // field and keeps its final zero, and the flags are the union's member
    // that SIOCSIFFLAGS reads.
    let result = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (field, byte) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
            *field = libc::c_char::from_ne_bytes([*byte]);
        }
        request.ifr_ifru.ifru_flags =
            i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns unused blocks of a file system to its disk. Returns the number of
/// bytes.
pub(crate) fn trim(file_system: impl AsFd) -> io::Result<u64> {
    /// `_IOWR('X', 121, struct fstrim_range)`
    const FITRIM: u64 = 0xc018_5879;
    // Start, length, smallest extent.
    let mut range = [0_u64, u64::MAX, 0];
    // SAFETY: the kernel reads and writes three 64-bit numbers, which are
    // there, and keeps no reference to them.
    let result = unsafe {
        libc::ioctl(
            file_system.as_fd().as_raw_fd(),
            FITRIM as _,
            range.as_mut_ptr(),
        )
    };
    match result {
        0 => Ok(range[1]),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Registers a descriptor with the asynchronous runtime.
pub(crate) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and stays the same descriptor for as long
    // as the `AsyncFd` owns it.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    watched.map_err(|error| error.into_parts().1)
}
