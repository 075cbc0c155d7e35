//! Makes ID-mapped mounts: the program owns the files that it sees, and the
//! files that it creates belong to the owner of the folder.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::thread::UnshareFlags;

use crate::container::spec::User;
use crate::kernel::syscall::{self, Forked};

/// Lets the owner of `source` appear as `user` in a detached mount of it
/// (`mount_setattr(2)`, "ID-mapped mounts").
pub(super) fn apply(mount: &OwnedFd, source: &Path, user: &User) -> io::Result<()> {
    let owner = fs_err::metadata(source)?;
    if (owner.uid(), owner.gid()) == (user.uid, user.gid) {
        return Ok(());
    }
    let namespace = user_namespace(
        &format!("{} {} 1", owner.uid(), user.uid),
        &format!("{} {} 1", owner.gid(), user.gid),
    )?;
    syscall::set_mount_id_map(mount, &namespace)
}

/// Makes a user namespace that contains no process.
fn user_namespace(uids: &str, gids: &str) -> io::Result<OwnedFd> {
    let (mut made, ready) = io::pipe()?;
    match syscall::fork()? {
        Forked::Child => hold_namespace(ready),
        Forked::Parent(child) => {
            drop(ready);
            let namespace = map(child, &mut made, uids, gids);
            // This fails if the child has already ended.
            let _ = kill_process(child, Signal::KILL);
            waitpid(Some(child), WaitOptions::empty())?;
            namespace
        }
    }
}

/// Runs in the child: makes the namespace and waits to be killed.
fn hold_namespace(mut ready: io::PipeWriter) -> ! {
    if syscall::unshare(UnshareFlags::NEWUSER).is_ok() && ready.write_all(&[0]).is_ok() {
        loop {
            std::thread::park();
        }
    }
    syscall::exit_now(1)
}

fn map(child: Pid, made: &mut io::PipeReader, uids: &str, gids: &str) -> io::Result<OwnedFd> {
    io::Read::read_exact(made, &mut [0])?;
    let process = format!("/proc/{}", child.as_raw_pid());
    fs_err::write(format!("{process}/uid_map"), uids)?;
    fs_err::write(format!("{process}/gid_map"), gids)?;
    Ok(File::open(format!("{process}/ns/user"))?.into())
}
