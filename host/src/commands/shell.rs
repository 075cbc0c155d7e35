//! Runs `locald shell`.

use std::path::Path;
use std::time::Duration;

use protocol::request::{RegistryAccess, ShellRequest, Stdio};
use protocol::{Failure, FailureKind, Request};

use super::build::{self, BuildEnd, PreparedBuild};
use super::run::{refuse_json, variables};
use super::{Start, announce, block_on};
use crate::cli::{BuildOptions, ShellOptions};
use crate::connection::attach::attach;
use crate::connection::session::Session;
use crate::output::Printer;
use crate::platform::home::Home;
use crate::platform::signals::{self, Signals};
use crate::platform::terminal;
use crate::project::Project;
use crate::settings::MachineKind;
use crate::sync::live_folder::{LiveFolder, SyncLock};

/// locald prints a note about copying that takes longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn run(
    options: &ShellOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    refuse_json(printer)?;
    let env = variables(&options.env)?;
    let project = Project::find(options.project.path())?;
    announce(&project, printer);
    let Start {
        home,
        settings,
        setup,
    } = Start::at(&project.folder, machine, printer)?;
    let folder = project.folder.to_str().ok_or_else(|| {
        let message = format!("the path {} is not UTF-8", project.folder.display());
        Failure::new(FailureKind::Source, message)
    })?;
    let stdio = terminal::stdio();
    let request = ShellRequest {
        project: project.identity(&home)?,
        folder: folder.to_owned(),
        command: options.command.clone(),
        env,
        stdio,
        access: RegistryAccess::default(),
        terminal: terminal::description(stdio),
    };
    block_on(async {
        let session = setup.connect(printer).await?;
        let request = ShellRequest {
            access: session.access.clone(),
            ..request
        };
        let shell = Shell {
            session: &session,
            home: &home,
            folder: &project.folder,
            request,
        };
        match shell.run(printer).await {
            Err(failure) if failure.kind == FailureKind::NotBuilt => {
                printer.note(&format!("{}: building it first", failure.message));
            }
            ran => return ran,
        }
        let flags = BuildOptions::of(Some(project.folder.clone()), options.builder.clone());
        let prepared = PreparedBuild::new(&project, &home, &settings, &flags, printer)?;
        if let BuildEnd::Stopped(code) = build::build(prepared, &session, printer).await? {
            return Ok(code);
        }
        shell.run(printer).await
    })
}

/// A prepared shell request.
struct Shell<'a> {
    session: &'a Session,
    home: &'a Home,
    folder: &'a Path,
    request: ShellRequest,
}

impl Shell<'_> {
    /// Runs the shell. A remote machine has a copy of the folder, which locald
    /// keeps in step while the shell runs.
    async fn run(&self, printer: &mut Printer) -> Result<u8, Failure> {
        if !self.session.is_remote {
            return self.attach(self.request.clone(), printer).await;
        }
        let sync_lock = SyncLock::of(&self.home.folders, &self.request.project.id)?;
        let begin = LiveFolder::begin(
            &self.session.agent,
            self.request.project.clone(),
            self.folder.to_owned(),
            sync_lock,
        );
        let live = patiently(begin, "Copying the folder to the machine", printer).await?;
        let folder = String::new();
        let request = ShellRequest {
            folder,
            ..self.request.clone()
        };
        let ended = self.attach(request, printer).await;
        let settled = settle(live, printer).await;
        // The error of the shell explains more than an error of the copy that
        // follows from it.
        let code = ended?;
        settled?;
        Ok(code)
    }

    async fn attach(&self, request: ShellRequest, printer: &mut Printer) -> Result<u8, Failure> {
        let stdio: Stdio = request.stdio;
        let request = Request::Shell(request);
        let conversation = self.session.request(&request, printer).await?;
        attach(conversation, stdio, self.session).await
    }
}

/// Copies the last changes of the shell to this system. Ctrl-C interrupts that.
async fn settle(live: LiveFolder, printer: &mut Printer) -> Result<(), Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::from_error(FailureKind::Machine, &error))?;
    let settled = tokio::select! {
        settled = patiently(live.finish(), "Copying the last changes from the machine", printer) => settled,
        _ = signals::end(&mut signals) => {
            let message = "the last changes of the shell were not copied to this system";
            Err(Failure::new(FailureKind::Cancelled, message))
        }
    };
    match settled {
        Ok(report) => {
            report.tell(printer);
            Ok(())
        }
        Err(failure) => Err(failure.with_hint("the project's next shell copies them")),
    }
}

/// Waits for `work`. Prints `what` if that takes longer than [`PATIENCE`].
async fn patiently<T>(work: impl Future<Output = T>, what: &str, printer: &mut Printer) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    printer.note(what);
    work.await
}
