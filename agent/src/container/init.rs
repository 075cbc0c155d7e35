//! The first process of a container: it gives the payload its ids, passes
//! signals on, reaps, and ends as the payload ends.
//!
//! It is a fork of the runner and has nothing of the image in it. It keeps no
//! capability, no descriptor and no standard stream, and cannot be looked
//! into. The payload is another process because a first process ignores the
//! signals that it sends to itself.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, set_dumpable_behavior,
    set_parent_process_death_signal, wait,
};

use super::message::{self, Birth, Fault, Plan};
use super::{payload, runner};
use crate::namespace::Privilege;
use crate::syscall::{self, Forked};

/// What init ends with when it fails itself.
const INIT_FAILED: i32 = 255;

/// A failed step of init.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("the container's program cannot be forked")]
    Fork(#[source] io::Error),
    #[error("uid {uid} and gid {gid} cannot be mapped into the container")]
    Ids {
        uid: u32,
        gid: u32,
        #[source]
        source: io::Error,
    },
    #[error("the container's init cannot give up its privileges")]
    Privileges(#[source] io::Error),
    #[error("signals cannot be waited for")]
    Signals(#[source] io::Error),
}

/// The two pipes by which init and payload wait for each other.
struct Gate {
    ready: (io::PipeReader, io::PipeWriter),
    mapped: (io::PipeReader, io::PipeWriter),
}

/// Does init's whole work and ends the process.
pub(super) fn run(plan: &Plan, birth: &OwnedFd) -> ! {
    let Err(error) = supervise(plan, birth);
    let fault = Fault::from_error(&error);
    // When the payload runs already, nobody listens any more.
    let _ = message::send(birth, &Birth::Failed(fault), &[]);
    syscall::exit_now(INIT_FAILED)
}

fn supervise(plan: &Plan, birth: &OwnedFd) -> Result<Infallible, InitError> {
    syscall::block_signals();
    let gate = Gate::new().map_err(InitError::Fork)?;
    let payload = match syscall::fork().map_err(InitError::Fork)? {
        Forked::Child => {
            let (ready, mapped) = gate.payload_ends();
            payload::run(plan, birth, ready, mapped)
        }
        Forked::Parent(payload) => payload,
    };
    let (ready, mapped) = gate.init_ends();
    map_ids(plan, payload, ready, mapped).map_err(|source| InitError::Ids {
        uid: plan.program.user.uid,
        gid: plan.program.user.gid,
        source,
    })?;
    give_up().map_err(InitError::Privileges)?;
    let error = forward_signals(payload);
    Err(InitError::Signals(error))
}

impl Gate {
    fn new() -> io::Result<Self> {
        Ok(Self {
            ready: io::pipe()?,
            mapped: io::pipe()?,
        })
    }

    /// Each side drops what is the other's, so that it sees the other's end.
    fn payload_ends(self) -> (io::PipeWriter, io::PipeReader) {
        (self.ready.1, self.mapped.0)
    }

    fn init_ends(self) -> (io::PipeReader, io::PipeWriter) {
        (self.ready.0, self.mapped.1)
    }
}

/// Writes the id maps of the payload's user namespace as soon as it is there.
/// A payload that has ended before has told why.
fn map_ids(
    plan: &Plan,
    payload: Pid,
    mut ready: io::PipeReader,
    mut mapped: io::PipeWriter,
) -> io::Result<()> {
    if ready.read(&mut [0])? == 0 {
        return Ok(());
    }
    let user = &plan.program.user;
    for (file, id) in [("uid_map", user.uid), ("gid_map", user.gid)] {
        let map = match plan.privilege {
            Privilege::Root => identity(&fs_err::read_to_string(format!("/proc/self/{file}"))?),
            Privilege::Rootless => format!("{id} 0 1\n"),
        };
        let path = format!("/proc/{}/{file}", payload.as_raw_pid());
        // One write: the kernel accepts no second one.
        File::options()
            .write(true)
            .open(path)?
            .write_all(map.as_bytes())?;
    }
    mapped.write_all(&[0])
}

/// Each id of this namespace, under its own number.
fn identity(own: &str) -> String {
    let ranges = own.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (first, _, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some(format!("{first} {first} {count}\n"))
    });
    ranges.collect()
}

/// After this, whoever breaks into init has won nothing.
fn give_up() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    std::mem::forget(null);
    syscall::close_from(3)?;
    payload::drop_capabilities()?;
    rustix::thread::set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_name(c"locald-init")?;
    // A change of credentials may have cleared it.
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Returns only when it fails.
fn forward_signals(payload: Pid) -> io::Error {
    loop {
        match syscall::next_signal() {
            Ok(libc::SIGCHLD) => reap(payload),
            // The whole container stands still, or goes on.
            Ok(libc::SIGTSTP) => drop(syscall::kill_others(libc::SIGSTOP)),
            Ok(libc::SIGCONT) => drop(syscall::kill_others(libc::SIGCONT)),
            // The payload may have ended in this very moment.
            Ok(signal) => drop(syscall::kill(payload, signal)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error,
        }
    }
}

/// Reaps everything that has ended; with the payload, init ends.
fn reap(payload: Pid) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == payload {
            syscall::exit_now(runner::exit_code(status).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::identity;

    #[test]
    fn every_range_is_mapped_to_itself() {
        let own = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(identity(own), "0 0 1\n1 1 65536\n");
    }
}
