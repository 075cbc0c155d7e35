//! `locald shell`.

use protocol::request::ShellRequest;
use protocol::{Failure, FailureKind, Request};

use super::build::{self, End, Plan};
use super::run::{refuse_json, variables};
use super::{Start, block_on};
use crate::cli::{BuildOptions, ShellOptions};
use crate::machine::Kind;
use crate::printer::Printer;
use crate::project::Project;
use crate::terminal;

pub(super) fn run(
    options: &ShellOptions,
    machine: Option<&Kind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    refuse_json(printer)?;
    let env = variables(&options.env)?;
    let project = Project::find(options.project.path.as_deref())?;
    let Start {
        home,
        settings,
        setup,
    } = Start::at(&project.folder, machine, printer)?;
    let stdio = terminal::stdio();
    let folder = project.folder.to_str().ok_or_else(|| {
        let message = format!("the path {} is not UTF-8", project.folder.display());
        Failure::new(FailureKind::Source, message)
    })?;
    let request = Request::Shell(ShellRequest {
        project: project.identity(),
        folder: folder.to_owned(),
        command: options.command.clone(),
        env,
        stdio,
    });
    block_on(async {
        let client = setup.connect(printer).await?;
        if client.is_elsewhere {
            return Err(not_live());
        }
        let conversation = client.request(&request, printer).await?;
        match terminal::attach(conversation, stdio, &client).await {
            Err(failure) if failure.kind == FailureKind::NotBuilt => {
                printer.note(&format!("{}: building it first", failure.message));
            }
            attached => return attached,
        }
        let flags = BuildOptions::of(Some(project.folder.clone()));
        let plan = Plan::new(&project, &home, &settings, &flags, printer)?;
        if let End::Stopped(code) = build::build(plan, &client, printer).await? {
            return Ok(code);
        }
        terminal::attach(client.request(&request, printer).await?, stdio, &client).await
    })
}

/// A shell shows the folder itself, which only this system has.
fn not_live() -> Failure {
    let message = "a shell shows the project's folder live, and this machine cannot show it";
    Failure::new(FailureKind::Unsupported, message)
        .with_hint("`--machine in-process` does; `locald run --command` works on every machine")
}
