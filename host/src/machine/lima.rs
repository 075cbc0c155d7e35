//! Manages a virtual machine with lima. `limactl` makes and repairs it in a
//! separate `LIMA_HOME`. locald copies the agent there by ssh, and runs it as
//! root with sudo.
//!
//! On macOS the guest mounts the user's home directory at the same path, so a
//! shell sees the files of a project there.

mod error;
mod limactl;
mod start;
mod template;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::Failure;
use protocol::event::Check;

use super::ssh::Ssh;
use super::{Kept, Machine, Pending, STATUS_TIMEOUT, Status, clock, size, step};
use crate::connection::agent::AgentConnection;
use crate::output::Printer;
use crate::platform::home::Home;
use crate::platform::state_file;
use crate::report::MachineState;
use crate::settings::Shape;

use error::LimaError;
use limactl::{INSTANCE, Instance, Limactl};

/// The file with the size that `vm resize` set.
const SIZE: &str = "size.json";
/// The file that records that KVM does not work here.
const NO_KVM: &str = "no-kvm";
/// ssh's name for the guest, in the file that lima writes for it.
const HOST: &str = "lima-locald";
/// A running guest accepts ssh, and its agent answers, within this time.
const ANSWER: Duration = Duration::from_secs(30);

/// A machine that lima runs.
#[derive(Debug)]
pub(crate) struct Lima {
    shape: Shape,
    home: PathBuf,
}

impl Lima {
    pub(super) fn new(shape: Shape, home: &Home) -> Self {
        let home = home.lima.clone();
        Self {
            shape: size::resized(&home.join(SIZE), shape),
            home,
        }
    }

    /// Connects with the agent. Starts or repairs the machine if necessary.
    async fn ensure_connected(&self, printer: &mut Printer) -> Result<AgentConnection, Failure> {
        // Try ssh first: limactl takes longer than everything else.
        if self.seems_to_run()
            && let Ok(Ok(agent)) =
                tokio::time::timeout(ANSWER, self.ssh().connect_with(printer)).await
        {
            clock::set(&agent).await?;
            return Ok(agent);
        }
        let limactl = self.limactl().await?;
        start::ensure_running(&limactl, self, printer).await?;
        let agent = tokio::time::timeout(ANSWER, self.ssh().connect_with(printer)).await;
        let agent = agent.map_err(|_| LimaError::Silent { limit: ANSWER })?;
        let agent = agent.map_err(LimaError::from)?;
        clock::set(&agent).await?;
        Ok(agent)
    }

    async fn limactl(&self) -> Result<Limactl, LimaError> {
        let limactl = Limactl::find(&self.home).await?;
        Ok(if self.home.join(NO_KVM).exists() {
            limactl.without_kvm()
        } else {
            limactl
        })
    }

    /// Returns the file with the steps of the last start.
    fn steps(&self) -> PathBuf {
        self.home.join("steps.json")
    }

    fn instance_folder(&self) -> PathBuf {
        self.home.join(INSTANCE)
    }

    fn seems_to_run(&self) -> bool {
        let folder = self.instance_folder();
        folder.join("ha.pid").exists() && folder.join("ssh.config").exists()
    }

    fn ssh(&self) -> Ssh {
        Ssh::to_guest("lima", &self.instance_folder().join("ssh.config"), HOST)
    }

    async fn find_status(&self) -> Status {
        let found = tokio::time::timeout(STATUS_TIMEOUT, self.find()).await;
        let found = found.unwrap_or_else(|_| {
            let command = "list".to_owned();
            let limit = STATUS_TIMEOUT;
            Err(LimaError::NoAnswer { command, limit })
        });
        let status = match found {
            Ok(None) => Status::without_agent(MachineState::Absent, None),
            Ok(Some(instance)) => self.status_of(&instance).await,
            Err(error) => Status::without_agent(MachineState::Unreachable, Some(error.into())),
        };
        Status {
            transport: Some("ssh".to_owned()),
            steps: step::load(&self.steps()),
            ..status
        }
    }

    async fn find(&self) -> Result<Option<Instance>, LimaError> {
        Limactl::find(&self.home).await?.instance().await
    }

    async fn status_of(&self, instance: &Instance) -> Status {
        let fault = || {
            let errors = instance.errors.join("; ");
            (!errors.is_empty()).then(|| LimaError::Broken { errors }.into())
        };
        match instance.status.as_str() {
            "Running" => match tokio::time::timeout(STATUS_TIMEOUT, self.ssh().find_status()).await
            {
                Ok(status) if status.state == MachineState::Running => status,
                Ok(status) => Status::without_agent(MachineState::Hung, status.fault),
                Err(_) => {
                    let error = LimaError::Silent {
                        limit: STATUS_TIMEOUT,
                    };
                    Status::without_agent(MachineState::Hung, Some(error.into()))
                }
            },
            "Stopped" => Status::without_agent(MachineState::Stopped, None),
            "Installing" => Status::without_agent(MachineState::Starting, None),
            _ => Status::without_agent(MachineState::Crashed, fault()),
        }
    }

    /// Returns the file that holds the machine's disk.
    fn disk_file(&self) -> PathBuf {
        let names = ["disk", "diffdisk"].map(|name| self.instance_folder().join(name));
        let [new, old] = names;
        if new.exists() { new } else { old }
    }

    /// Removes the machine and its disk. Can be repeated after a failure.
    async fn delete(&self) -> Result<(), Failure> {
        let limactl = self.limactl().await?;
        limactl.delete().await?;
        state_file::remove(&self.steps()).map_err(LimaError::Folder)?;
        match fs_err::remove_dir_all(self.instance_folder()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(LimaError::Folder(error).into())
            }
            _ => Ok(()),
        }
    }

    async fn checks(&self) -> Vec<Check> {
        let mut checks = vec![match Limactl::find(&self.home).await {
            Ok(found) => {
                let path = Path::new(found.program()).display().to_string();
                Check::good("limactl", format!("{path}, version {}", found.version))
            }
            Err(error) => {
                let failure = Failure::from(error);
                Check::bad("limactl", failure.message, failure.hint)
            }
        }];
        checks.extend(super::ssh::checks());
        checks
    }

    /// Returns the folder that the guest mounts.
    fn shared() -> PathBuf {
        let folders = directories::BaseDirs::new();
        folders.map_or_else(
            || PathBuf::from("/tmp"),
            |folders| folders.home_dir().to_owned(),
        )
    }
}

impl Machine for Lima {
    fn kept(&self) -> Kept {
        Kept::Machine
    }

    fn connect<'a>(
        &'a self,
        printer: &'a mut Printer,
    ) -> Pending<'a, Result<AgentConnection, Failure>> {
        Box::pin(self.ensure_connected(printer))
    }

    fn status(&self) -> Pending<'_, Status> {
        Box::pin(self.find_status())
    }

    fn stopped(&self) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async {
            let limactl = self.limactl().await?;
            match limactl.instance().await? {
                Some(instance) if instance.status == "Running" => Ok(limactl.stop().await?),
                _ => Ok(()),
            }
        })
    }

    fn kill(&self) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async {
            let limactl = self.limactl().await?;
            if limactl.instance().await?.is_some() {
                limactl.stop_at_once().await?;
            }
            Ok(())
        })
    }

    fn remove(&self) -> Pending<'_, Result<(), Failure>> {
        Box::pin(self.delete())
    }

    fn resize(&self, shape: &Shape) -> Result<(), Failure> {
        if shape.disk < self.shape.disk && self.disk_file().exists() {
            let now = self.shape.disk;
            return Err(LimaError::Shrink { now }.into());
        }
        Ok(size::save(&self.home.join(SIZE), shape).map_err(LimaError::Folder)?)
    }

    fn shape(&self) -> Option<&Shape> {
        Some(&self.shape)
    }

    fn disk(&self) -> Option<PathBuf> {
        Some(self.disk_file())
    }

    /// Returns the log files of lima and the guest, the most useful first.
    fn logs(&self) -> Vec<PathBuf> {
        let names = [
            "ha.stderr.log",
            "ha.stdout.log",
            "serial.log",
            "serialp.log",
            "serialv.log",
        ];
        let files = names.map(|name| self.instance_folder().join(name));
        files.into_iter().filter(|file| file.exists()).collect()
    }

    fn doctor(&self) -> Pending<'_, Vec<Check>> {
        Box::pin(self.checks())
    }
}

impl fmt::Display for Lima {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lima")
    }
}
