//! Turns a fork of init into the container's program: sets terminal, limits,
//! ids, capabilities and filters, then executes the program.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::process::{Gid, Uid, fchdir, ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::tcsetwinsize;
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::message::{
    self, InitMessage, PayloadProgram, RunnerConfig, SetupError, Start, TerminalSize,
};
use super::seccomp::{self, SeccompError};
use super::spec::User;
use super::{interpreter, landlock};
use crate::kernel::limits;
use crate::kernel::namespace::Privilege;
use crate::kernel::syscall;

/// The exit code of shells for a program that they cannot execute.
const CANNOT_RUN: i32 = 126;

/// A failed step before the execution of the program.
#[derive(Debug, thiserror::Error)]
enum PayloadError {
    #[error("no session can be made")]
    Session(#[source] io::Error),
    #[error("no user namespace can be made in the container")]
    UserNamespace(#[source] io::Error),
    #[error("the container's processes cannot be limited")]
    Limits(#[source] io::Error),
    #[error("the container's program cannot become uid {uid}, gid {gid}")]
    Identity {
        uid: u32,
        gid: u32,
        #[source]
        source: io::Error,
    },
    #[error("the container's program has no terminal")]
    Terminal(#[source] io::Error),
    #[error("the container's program cannot give up its capabilities")]
    Capabilities(#[source] io::Error),
    #[error("sockets and processes outside cannot be put out of reach")]
    Landlock(#[source] ::landlock::RulesetError),
    #[error("system calls cannot be filtered")]
    Seccomp(#[source] SeccompError),
    #[error("the runner has gone before the start")]
    Start(#[source] io::Error),
    #[error("the working directory cannot be entered")]
    WorkingDirectory(#[source] io::Error),
    #[error("the program cannot be executed")]
    Program(#[source] io::Error),
    #[error("the program's interpreter {interpreter:?} cannot be executed")]
    Interpreter {
        interpreter: String,
        #[source]
        source: io::Error,
    },
}

impl PayloadError {
    fn error(&self) -> SetupError {
        let number = |error: &io::Error| error.raw_os_error().unwrap_or(libc::EINVAL);
        match self {
            Self::WorkingDirectory(source) => SetupError::WorkingDirectory {
                errno: number(source),
            },
            Self::Program(source) => SetupError::Program {
                errno: number(source),
            },
            Self::Interpreter {
                interpreter,
                source,
            } => SetupError::Interpreter {
                interpreter: interpreter.clone(),
                errno: number(source),
            },
            other => SetupError::from_error(other),
        }
    }
}

/// Executes the program. After a failure, reports it and ends the process.
pub(super) fn run(
    config: &RunnerConfig,
    init_socket: &OwnedFd,
    ready: io::PipeWriter,
    mapped: io::PipeReader,
) -> ! {
    let Err(error) = become_program(config, init_socket, ready, mapped);
    // This fails if the runner is gone, which needs no report.
    let _ = message::send(init_socket, &InitMessage::Failed(error.error()), &[]);
    syscall::exit_now(CANNOT_RUN)
}

fn become_program(
    config: &RunnerConfig,
    init_socket: &OwnedFd,
    ready: io::PipeWriter,
    mapped: io::PipeReader,
) -> Result<Infallible, PayloadError> {
    setsid().map_err(|error| PayloadError::Session(error.into()))?;
    nest(ready, mapped).map_err(PayloadError::UserNamespace)?;
    limits::apply(config.processes).map_err(PayloadError::Limits)?;
    // Enters the directory as root, because the program's user may not have the
    // permission to enter a parent.
    let entered = enter(&config.program.cwd);
    let user = &config.program.user;
    identify(user, config.privilege).map_err(|source| PayloadError::Identity {
        uid: user.uid,
        gid: user.gid,
        source,
    })?;
    if let Some(size) = config.terminal {
        let master = open_terminal(size).map_err(PayloadError::Terminal)?;
        message::send(init_socket, &InitMessage::Terminal, &[master.as_fd()])
            .map_err(PayloadError::Terminal)?;
    }
    drop_capabilities().map_err(PayloadError::Capabilities)?;
    await_start(init_socket).map_err(PayloadError::Start)?;
    match enter(&config.program.cwd) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && entered.is_ok() => {}
        again => again.map_err(PayloadError::WorkingDirectory)?,
    }
    syscall::reset_signals();
    landlock::apply().map_err(PayloadError::Landlock)?;
    seccomp::apply().map_err(PayloadError::Seccomp)?;
    Err(execute(&config.program))
}

/// Waits for the start. Before it, some mounts may be missing.
fn await_start(init_socket: &OwnedFd) -> io::Result<()> {
    match message::receive(init_socket)? {
        Some((Start, _)) => Ok(()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Makes a user namespace for the payload. Init writes its id maps.
fn nest(mut ready: io::PipeWriter, mut mapped: io::PipeReader) -> io::Result<()> {
    syscall::unshare(UnshareFlags::NEWUSER)?;
    ready.write_all(&[0])?;
    mapped.read_exact(&mut [0])
}

/// Sets the ids. The new namespace has filled the bounding set again. So empty
/// it first: then no later change of ids or execution can fill any set.
fn identify(user: &User, privilege: Privilege) -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // The kernel does not know this capability.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED,
    )?;
    if privilege == Privilege::Root {
        let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        set_thread_groups(&groups)?;
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}

/// Makes a pseudo terminal of the container the controlling terminal. Returns
/// its master. The terminal belongs to the process that opens it, so the ids
/// must be set before.
fn open_terminal(size: TerminalSize) -> io::Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    unlockpt(&master)?;
    tcsetwinsize(&master, size.into())?;
    let terminal = ioctl_tiocgptpeer(&master, flags)?;
    ioctl_tiocsctty(&terminal)?;
    rustix::stdio::dup2_stdin(&terminal)?;
    rustix::stdio::dup2_stdout(&terminal)?;
    rustix::stdio::dup2_stderr(&terminal)?;
    Ok(master)
}

/// Empties all capability sets of this process except the bounding set.
pub(super) fn drop_capabilities() -> io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, none)?)
}

/// Changes the working directory. Follows links of the image, and refuses magic
/// links of `/proc`, which lead outside.
fn enter(directory: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_MAGICLINKS;
    let opened = openat2(CWD, directory, flags, Mode::empty(), resolve)?;
    Ok(fchdir(opened)?)
}

/// Executes the program; returns only an error. The standard library searches
/// the `PATH` of the new environment.
fn execute(program: &PayloadProgram) -> PayloadError {
    let mut args = program.args.iter();
    let name = args.next().map(String::as_str).unwrap_or_default();
    let env = program.env.iter().map(|(name, value)| (name, value));
    let error = Command::new(name).args(args).env_clear().envs(env).exec();
    let path = program.env.iter().find(|(name, _)| name == "PATH");
    let path = path.map(|(_, value)| value.as_str()).unwrap_or_default();
    match (error.kind(), interpreter::missing(name, path)) {
        (io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied, Some((interpreter, errno))) => {
            PayloadError::Interpreter {
                interpreter,
                source: errno.into(),
            }
        }
        _ => PayloadError::Program(error),
    }
}
