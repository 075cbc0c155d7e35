//! Starts a container with libcontainer, and with locald's init instead of a
//! program of the image.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, set_parent_process_death_signal};

use super::bundle::Bundle;
use super::error::RunnerError;
use super::log::Log;
use crate::container::init;
use crate::container::message::RunnerConfig;
use crate::kernel::syscall;

/// Runs as the container's first process. libcontainer clones it.
#[derive(Clone)]
struct Init {
    config: Rc<RunnerConfig>,
    /// A process descriptor of the runner, opened before any fork.
    runner: Rc<OwnedFd>,
    socket: Rc<OwnedFd>,
}

/// Makes the container's namespaces and starts its init.
pub(super) fn start(
    config: &RunnerConfig,
    bundle: &Bundle,
    pipes: Vec<OwnedFd>,
    init_socket: OwnedFd,
    log: &Log,
) -> Result<Pid, RunnerError> {
    let init = Init {
        config: Rc::new(config.clone()),
        runner: Rc::new(super::own_process().map_err(RunnerError::InitMessage)?),
        socket: Rc::new(init_socket),
    };
    let pid = create(config, bundle, pipes, init).map_err(|error| RunnerError::Runtime {
        source: Box::new(error),
        log: log.lines(),
    })?;
    pid.ok_or_else(|| RunnerError::InitMessage(io::Error::other("there is none")))
}

fn create(
    config: &RunnerConfig,
    bundle: &Bundle,
    pipes: Vec<OwnedFd>,
    init: Init,
) -> Result<Option<Pid>, LibcontainerError> {
    let mut builder = ContainerBuilder::new(config.id.clone(), SyscallType::default())
        .with_root_path(bundle.state())?
        .validate_id()?
        .with_executor(init);
    let mut pipes = pipes.into_iter();
    if let (Some(stdin), Some(stdout), Some(stderr)) = (pipes.next(), pipes.next(), pipes.next()) {
        builder = builder
            .with_stdin(stdin)
            .with_stdout(stdout)
            .with_stderr(stderr);
    }
    let mut container = builder
        .as_init(bundle.directory())
        .with_systemd(false)
        .with_detach(true)
        .build()?;
    container.start()?;
    Ok(container.pid().and_then(|pid| Pid::from_raw(pid.as_raw())))
}

impl Init {
    /// Sets the death signal. The kernel does not send it if the runner has
    /// already died, so check that, too.
    fn die_with_runner(&self) -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let mut ended = [PollFd::new(&*self.runner, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match poll(&mut ended, Some(&at_once)) {
            Ok(0) => Ok(()),
            _ => Err(io::Error::other("the runner has gone")),
        }
    }
}

impl Executor for Init {
    /// libcontainer calls this in the init process, before init reports that it
    /// is ready and waits.
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        self.die_with_runner().or_else(|_| syscall::exit_now(1))
    }

    /// Sets nothing: the payload gets its environment at its execution.
    fn setup_envs(
        &self,
        _: std::collections::HashMap<String, String>,
    ) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }

    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        init::run(&self.config, &self.socket)
    }
}
