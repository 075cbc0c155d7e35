//! Manages a WSL2 distribution, on Windows.
//!
//! `wsl.exe … locald-agent stdio` is the transport, and keeps the distribution
//! alive: WSL stops a distribution when no program started by Windows runs in
//! it. locald never touches WSL's global settings, other distributions, or the
//! service that all distributions share.

mod code;
mod disk;
mod doctor;
mod error;
mod text;
mod usage_lock;
mod wsl_exe;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use protocol::event::Check;
use protocol::hello::Token;
use protocol::{Failure, build_id::Architecture};

use super::address::exec::ChildStream;
use super::agent_file::{self, AgentFile};
use super::step::{self, Steps};
use super::{Kept, Machine, Pending, STATUS_TIMEOUT, Status};
use crate::connection::agent::{AgentConnection, AgentError};
use crate::output::Printer;
use crate::platform::home::Home;
use crate::platform::state_file;
use crate::report::MachineState;

use code::Code;
use error::WslError;
use wsl_exe::WslExe;

use usage_lock::UsageLock;

/// The distribution's name.
const NAME: &str = "locald";
/// The path of the agent in the distribution.
const AGENT: &str = "/usr/local/bin/locald-agent";
/// The first program after a boot starts within this time.
const BOOT: Duration = Duration::from_secs(90);
/// The import of a root file system of a few MB takes at most this time.
const IMPORT: Duration = Duration::from_mins(5);
/// A distribution ends within this time.
const END: Duration = Duration::from_mins(1);

/// The distribution, and the folder of its disk.
#[derive(Debug)]
pub(crate) struct Wsl2 {
    folder: PathBuf,
    guest: Option<PathBuf>,
}

impl Wsl2 {
    pub(super) fn new(guest: Option<&Path>, home: &Home) -> Self {
        Self {
            folder: home.machines.join("wsl2"),
            guest: guest.map(Path::to_owned),
        }
    }

    /// Connects with the agent. Imports a missing distribution, and replaces an
    /// agent of another build or one that does not answer.
    async fn ensure_connected(&self, printer: &mut Printer) -> Result<AgentConnection, Failure> {
        let program = WslExe::find()?;
        let wanted = own_agent()?;
        let agent = match self.reach(&program).await {
            Ok(agent) => agent,
            Err(error) => {
                tracing::debug!(%error, "wsl2");
                self.mend(&program, wanted.as_ref(), printer).await?;
                self.reach(&program).await?
            }
        };
        let Some(wanted) = wanted.filter(|wanted| wanted.build != agent.build) else {
            return Ok(agent);
        };
        printer.note("The machine has the agent of another locald: locald replaces it");
        drop(agent);
        push(&program, &wanted).await?;
        let agent = self.reach(&program).await?;
        if agent.build != wanted.build {
            let found = agent.build;
            return Err(WslError::OtherAgent { found }.into());
        }
        Ok(agent)
    }

    /// Starts the agent. This also starts the distribution.
    async fn reach(&self, program: &WslExe) -> Result<AgentConnection, WslError> {
        let lock = UsageLock::share(&self.folder).await?;
        let stream = start(program, Stdio::inherit())?.keeping(lock);
        greet(stream, BOOT).await
    }

    /// Finds out why the agent does not answer, and repairs it.
    async fn mend(
        &self,
        program: &WslExe,
        agent: Option<&AgentFile>,
        printer: &mut Printer,
    ) -> Result<(), WslError> {
        match program.execute(&["/bin/busybox", "true"], BOOT).await {
            Ok(_) => {
                let agent = agent.ok_or(WslError::NoAgent)?;
                printer.note("The machine's agent does not answer: locald replaces it");
                push(program, agent).await
            }
            Err(WslError::Refused {
                code: Code::DistributionNotFound,
                ..
            }) => self.import(program, printer).await,
            Err(error) => Err(error),
        }
    }

    async fn import(&self, program: &WslExe, printer: &mut Printer) -> Result<(), WslError> {
        let waiting = || printer.note("Waiting for other commands that use the machine");
        let _alone = UsageLock::alone(&self.folder, waiting).await?;
        // Another command may have imported it meanwhile.
        if program.names(&[], STATUS_TIMEOUT).await?.contains(NAME) {
            return Ok(());
        }
        let mut steps = Steps::begin();
        let place = self.folder.join("disk");
        let left = place.join("ext4.vhdx");
        let place = wsl_exe::text(&place)?;
        if left.is_file() {
            printer.note("Registering the machine's disk, which is still there");
            let left = wsl_exe::text(&left)?;
            program
                .run(&["--import-in-place", NAME, left], IMPORT)
                .await?;
        } else {
            let root = disk::root_file_system(self.guest.as_deref())?;
            printer.note(&format!("Making the machine: the WSL2 distribution {NAME}"));
            fs_err::create_dir_all(place).map_err(WslError::io("make a folder"))?;
            let root = wsl_exe::text(&root)?;
            let import = ["--import", NAME, place, root, "--version", "2"];
            program.run(&import, IMPORT).await?;
        }
        steps.end("import", printer);
        let saved = steps.save(&self.steps());
        saved.map_err(WslError::io("write down how long it took"))
    }

    /// Returns the file with the steps of the import.
    fn steps(&self) -> PathBuf {
        self.folder.join("steps.json")
    }

    /// Returns the status. Starts nothing.
    async fn find_status(&self) -> Status {
        let status = match WslExe::find() {
            Ok(program) => status(&program).await,
            Err(error) => Err(error),
        };
        let fault =
            |error: WslError| Status::without_agent(MachineState::Unreachable, Some(error.into()));
        Status {
            transport: Some("wsl.exe".to_owned()),
            steps: step::load(&self.steps()),
            ..status.unwrap_or_else(fault)
        }
    }

    /// Stops the distribution when no other command uses it. Returns how many
    /// bytes of its disk are free again. Returns `None` if it does not run.
    async fn stop_when_unused(
        &self,
        now: bool,
        printer: &mut Printer,
    ) -> Result<Option<u64>, Failure> {
        let program = WslExe::find()?;
        if !program
            .names(&["--running"], STATUS_TIMEOUT)
            .await?
            .contains(NAME)
        {
            return Ok(None);
        }
        if now {
            if UsageLock::is_shared(&self.folder)? {
                printer.note("Interrupting other commands that use the machine");
            }
            self.terminate(&program).await?;
            return Ok(Some(0));
        }
        let waiting = || printer.note("Waiting for other commands that use the machine");
        let _alone = UsageLock::alone(&self.folder, waiting).await?;
        let trim = ["/bin/busybox", "fstrim", "-v", "/"];
        let trimmed = match program.execute(&trim, END).await {
            Ok(said) => text::trimmed(&said),
            Err(error) => {
                tracing::debug!(%error, "trim");
                0
            }
        };
        self.terminate(&program).await?;
        Ok(Some(trimmed))
    }

    /// Terminates the distribution.
    async fn terminate(&self, program: &WslExe) -> Result<(), WslError> {
        match program.run(&["--terminate", NAME], END).await {
            Err(WslError::Refused {
                code: Code::DistributionNotFound,
                ..
            })
            | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the distribution and its disk. A missing distribution is not an
    /// error.
    async fn unregister(&self) -> Result<(), Failure> {
        let program = WslExe::find()?;
        match program.run(&["--unregister", NAME], END).await {
            Err(WslError::Refused {
                code: Code::DistributionNotFound,
                ..
            })
            | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        state_file::remove(&self.steps())
            .map_err(WslError::io("forget how long the start took"))?;
        match fs_err::remove_dir_all(self.folder.join("disk")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(WslError::io("remove the machine's folder")(error).into())
            }
            _ => Ok(()),
        }
    }

    /// Resizes the disk, in bytes. The distribution must not run.
    async fn set_disk_size(&self, disk: u64) -> Result<(), Failure> {
        let size = format!("{}MB", disk >> 20);
        let program = WslExe::find()?;
        program
            .run(&["--manage", NAME, "--resize", &size], IMPORT)
            .await?;
        Ok(())
    }
}

impl Machine for Wsl2 {
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

    fn stop<'a>(
        &'a self,
        now: bool,
        printer: &'a mut Printer,
    ) -> Option<Pending<'a, Result<Option<u64>, Failure>>> {
        Some(Box::pin(self.stop_when_unused(now, printer)))
    }

    fn kill(&self) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async { Ok(self.terminate(&WslExe::find()?).await?) })
    }

    fn resizes_disk_alone(&self) -> bool {
        true
    }

    fn resize_disk(&self, disk: u64) -> Pending<'_, Result<(), Failure>> {
        Box::pin(self.set_disk_size(disk))
    }

    fn disk(&self) -> Option<PathBuf> {
        Some(self.folder.join("disk").join("ext4.vhdx"))
    }

    fn remove(&self) -> Pending<'_, Result<(), Failure>> {
        Box::pin(self.unregister())
    }

    fn doctor(&self) -> Pending<'_, Vec<Check>> {
        Box::pin(doctor::checks(self.guest.as_deref()))
    }
}

impl fmt::Display for Wsl2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wsl2")
    }
}

/// Returns the agent of this locald. If there is none, the root file system's
/// agent stays.
fn own_agent() -> Result<Option<AgentFile>, WslError> {
    match agent_file::all() {
        Ok(agents) => {
            let mut agents = agents.into_iter();
            Ok(agents.find(|agent| agent.architecture == Architecture::X86_64))
        }
        Err(agent_file::AgentFileError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn start(program: &WslExe, stderr: Stdio) -> Result<ChildStream, WslError> {
    let mut command = program.inside(&[AGENT, "stdio"]);
    command.stderr(stderr);
    ChildStream::start(command).map_err(WslError::Start)
}

async fn greet(stream: ChildStream, time: Duration) -> Result<AgentConnection, WslError> {
    let token = Token::default();
    let greeting = AgentConnection::connect(stream, &token);
    let greeted = tokio::time::timeout(time, greeting).await;
    greeted
        .map_err(|_| WslError::Silent {
            what: "the agent",
            time,
        })?
        .map_err(|error: AgentError| error.into())
}

async fn status(program: &WslExe) -> Result<Status, WslError> {
    if !program.names(&[], STATUS_TIMEOUT).await?.contains(NAME) {
        return Ok(Status::without_agent(MachineState::Absent, None));
    }
    if !program
        .names(&["--running"], STATUS_TIMEOUT)
        .await?
        .contains(NAME)
    {
        return Ok(Status::without_agent(MachineState::Stopped, None));
    }
    let agent = greet(start(program, Stdio::null())?, STATUS_TIMEOUT).await;
    Ok(match agent {
        Ok(agent) => Status::running(agent),
        Err(error) => Status::without_agent(MachineState::Hung, Some(error.into())),
    })
}

/// Replaces the distribution's agent in one step. A running agent continues
/// until its host disconnects.
async fn push(program: &WslExe, agent: &AgentFile) -> Result<(), WslError> {
    let file = fs_err::File::open(&agent.path).map_err(WslError::io("open the agent"))?;
    let size = file
        .metadata()
        .map_err(WslError::io("look at the agent"))?
        .len();
    let script = store(Path::new(AGENT), size);
    let script = ["/bin/busybox", "sh", "-c", &script];
    program
        .execute_with(&script, Stdio::from(file.into_parts().0), IMPORT)
        .await?;
    Ok(())
}

/// Returns a script that stores its standard input as a program, after all
/// `size` bytes have arrived.
fn store(path: &Path, size: u64) -> String {
    let path = path.display();
    let busybox = "/bin/busybox";
    format!(
        "t={path}.$$; trap '{busybox} rm -f $t' EXIT; {busybox} cat >$t && \
         [ $({busybox} wc -c <$t) -eq {size} ] && {busybox} chmod 755 $t && {busybox} mv -f $t {path}"
    )
}
