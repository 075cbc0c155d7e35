//! Is the first process of a container. It gives the payload its user and group
//! ids, forwards signals, reaps orphans, and ends when the payload ends. If
//! somebody asked the payload to end, its other processes get time to end, too.
//!
//! Init is a fork of the runner: the container holds neither its executable nor
//! a descriptor to it. Init keeps no capability, no descriptor and no standard
//! stream, and no process can trace it. The payload is a separate process
//! because a namespace's first process ignores the signals that it sends to
//! itself.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, getpgid, set_dumpable_behavior,
    set_parent_process_death_signal, wait,
};

use super::message::{self, InitMessage, RunnerConfig, SetupError};
use super::{ExitCode, payload};
use crate::kernel::namespace::Privilege;
use crate::kernel::syscall::{self, Forked};

/// What init ends with when it fails itself.
const INIT_FAILED: i32 = 255;
/// What asks a program to end.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
/// How long the rest of a container has to end after its program, which was
/// asked to: as long as Docker lets a container end.
const GRACE: Duration = Duration::from_secs(10);

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
pub(super) fn run(config: &RunnerConfig, init_socket: &OwnedFd) -> ! {
    let Err(error) = supervise(config, init_socket);
    let error = SetupError::from_error(&error);
    // When the payload runs already, nobody listens any more.
    let _ = message::send(init_socket, &InitMessage::Failed(error), &[]);
    syscall::exit_now(INIT_FAILED)
}

fn supervise(config: &RunnerConfig, init_socket: &OwnedFd) -> Result<Infallible, InitError> {
    syscall::block_signals();
    let gate = Gate::new().map_err(InitError::Fork)?;
    let payload = match syscall::fork().map_err(InitError::Fork)? {
        Forked::Child => {
            let (ready, mapped) = gate.payload_ends();
            payload::run(config, init_socket, ready, mapped)
        }
        Forked::Parent(payload) => payload,
    };
    let (ready, mapped) = gate.init_ends();
    map_ids(config, payload, ready, mapped).map_err(|source| InitError::Ids {
        uid: config.program.user.uid,
        gid: config.program.user.gid,
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
/// A payload that has ended before has reported why.
fn map_ids(
    config: &RunnerConfig,
    payload: Pid,
    mut ready: io::PipeReader,
    mut mapped: io::PipeWriter,
) -> io::Result<()> {
    if ready.read(&mut [0])? == 0 {
        return Ok(());
    }
    let user = &config.program.user;
    for (file, id) in [("uid_map", user.uid), ("gid_map", user.gid)] {
        let map = match config.privilege {
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

/// After this, an attacker who takes over init gains nothing.
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
    let mut is_to_end = false;
    loop {
        match syscall::next_signal() {
            // The whole container stands still, or goes on.
            Ok(libc::SIGTSTP) => drop(syscall::kill_others(libc::SIGSTOP)),
            Ok(libc::SIGCONT) => drop(syscall::kill_others(libc::SIGCONT)),
            Ok(libc::SIGCHLD) => {
                if let Some(code) = reap(payload) {
                    if is_to_end {
                        let_others_end(payload);
                    }
                    syscall::exit_now(code.into());
                }
            }
            Ok(signal) => {
                is_to_end |= ENDING.contains(&signal);
                pass_on(payload, signal);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error,
        }
    }
}

/// What asks a program to end is for all of its process group, as Ctrl-C at a
/// terminal is: a script that has started a server does not tell it. Other
/// signals would end those who do not expect them.
fn pass_on(payload: Pid, signal: i32) {
    let group = ENDING.contains(&signal) && syscall::kill_group(payload, signal).is_ok();
    if !group {
        // It may have ended in this very moment.
        let _ = syscall::kill(payload, signal);
    }
}

/// Reaps everything that has ended; returns how the payload ended.
fn reap(payload: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == payload {
            code = Some(ExitCode::of(status).0);
        }
    }
    code
}

/// Waits for the rest of the container, when the payload was asked to end and
/// has ended. The kernel kills what is left afterwards.
fn let_others_end(payload: Pid) {
    for (pid, group) in processes() {
        // The payload's group has got the signal already.
        if group != payload {
            let _ = syscall::kill(pid, libc::SIGTERM);
        }
    }
    let limit = Instant::now() + GRACE;
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if processes().is_empty() {
            return;
        }
        let left = limit.saturating_duration_since(Instant::now());
        match syscall::next_signal_within(left) {
            Ok(Some(libc::SIGCHLD)) => {}
            Ok(Some(libc::SIGTSTP)) => drop(syscall::kill_others(libc::SIGSTOP)),
            // Somebody asks again.
            Ok(Some(signal)) => drop(syscall::kill_others(signal)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// The container's other processes, and the group of each.
fn processes() -> Vec<(Pid, Pid)> {
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let others = ids.filter_map(Pid::from_raw).filter(|pid| !pid.is_init());
    // One that has ended in this moment has no group.
    let groups = others.map(|pid| Some((pid, getpgid(Some(pid)).ok()?)));
    groups.flatten().collect()
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
