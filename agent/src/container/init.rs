//! Runs the first process of a container. It gives the payload its user and
//! group ids, forwards signals, reaps orphans, and ends when the payload ends.
//! If a signal asked the payload to end, the other processes get time to end,
//! too.
//!
//! Init is a fork of the runner, so the container holds neither its executable
//! nor a descriptor to it. Init keeps no capability, no descriptor and no
//! standard stream, and no process can trace it. The payload is a separate
//! process because the first process of a namespace ignores the signals that it
//! sends to itself.

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

/// The exit code of init if init itself fails.
const INIT_FAILED: i32 = 255;
/// Signals that ask a program to end.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
/// The time that the other processes of a container have to end after the
/// payload, if a signal asked the payload to end. Docker uses the same time.
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

/// The two pipes that synchronize init and payload.
struct Gate {
    ready: (io::PipeReader, io::PipeWriter),
    mapped: (io::PipeReader, io::PipeWriter),
}

/// Runs init, and ends the process.
pub(super) fn run(config: &RunnerConfig, init_socket: &OwnedFd) -> ! {
    let Err(error) = supervise(config, init_socket);
    let error = SetupError::from_error(&error);
    // This fails if the payload already runs, because the runner has closed its
    // end.
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

    /// Each side closes the ends of the other, so that it sees when the other
    /// closes them.
    fn payload_ends(self) -> (io::PipeWriter, io::PipeReader) {
        (self.ready.1, self.mapped.0)
    }

    fn init_ends(self) -> (io::PipeReader, io::PipeWriter) {
        (self.ready.0, self.mapped.1)
    }
}

/// Writes the id maps of the payload's user namespace when the namespace
/// exists. Succeeds if the payload has ended before, because it has reported
/// the reason.
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
        // Writes the map at once, because the kernel accepts only one write.
        File::options()
            .write(true)
            .open(path)?
            .write_all(map.as_bytes())?;
    }
    mapped.write_all(&[0])
}

/// A map of each id of this namespace to the same id.
fn identity(own: &str) -> String {
    let ranges = own.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (first, _, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some(format!("{first} {first} {count}\n"))
    });
    ranges.collect()
}

/// Drops all capabilities and descriptors, so that an attacker gains nothing
/// from control over init.
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
    // Sets the death signal again, because a change of credentials may clear
    // it.
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Forwards signals until an error occurs, and returns the error.
fn forward_signals(payload: Pid) -> io::Error {
    let mut is_to_end = false;
    loop {
        match syscall::next_signal() {
            // Suspends or resumes the whole container.
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

/// Forwards a signal to the payload. A signal that asks to end goes to the
/// whole process group, like Ctrl-C at a terminal, because a script does not
/// forward it to the programs that it starts. Other signals go to the payload
/// only, because its children may not expect them.
fn pass_on(payload: Pid, signal: i32) {
    let group = ENDING.contains(&signal) && syscall::kill_group(payload, signal).is_ok();
    if !group {
        // This fails if the payload has just ended.
        let _ = syscall::kill(payload, signal);
    }
}

/// Reaps all ended processes. Returns the exit code of the payload if it has
/// ended.
fn reap(payload: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == payload {
            code = Some(ExitCode::of(status).0);
        }
    }
    code
}

/// Waits for the other processes of the container, after the payload has ended
/// on request. Afterwards the kernel kills those that remain.
fn let_others_end(payload: Pid) {
    for (pid, group) in processes() {
        // The group of the payload already has the signal.
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
            // A second request to end.
            Ok(Some(signal)) => drop(syscall::kill_others(signal)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// The other processes of the container, each with its process group.
fn processes() -> Vec<(Pid, Pid)> {
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let others = ids.filter_map(Pid::from_raw).filter(|pid| !pid.is_init());
    // A process that has just ended has no group.
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
