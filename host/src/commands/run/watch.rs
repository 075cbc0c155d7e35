//! Runs `locald run --watch`.

use std::sync::Arc;

use protocol::Failure;
use protocol::FailureKind;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{folder, proxies, variables};
use crate::cli::RunOptions;
use crate::commands::build::{self, BuildEnd};
use crate::commands::rebuild::{BuildInputs, Rebuilder};
use crate::commands::{Start, announce, block_on};
use crate::connection::session::Session;
use crate::output::Printer;
use crate::platform::signals::{self, Signals};
use crate::platform::terminal;
use crate::project::Project;
use crate::services::{Launch, OnExit, Order, ServiceProgram, StatusTable, Supervisor};
use crate::settings::HealthCheck;
use crate::settings::MachineKind;

pub(super) fn run(
    options: RunOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let env = variables(&options.env)?;
    let Some(folder) = folder(options.target.as_deref()) else {
        return Err(nothing_to_watch(&options.target.unwrap_or_default()));
    };
    let project = Project::find(options.target.as_ref().map(|_| folder))?;
    announce(&project, printer);
    let start = Start::at(&project.folder, machine, printer)?;
    let inputs = BuildInputs {
        home: start.home,
        root: project.folder.clone(),
        source: project,
        own: None,
        builder: options.builder,
    };
    let prepared = inputs.prepare(printer.detail())?;
    prepared.announce(&inputs.home, printer);
    let launch = Launch {
        name: prepared.name().to_owned(),
        image: prepared.name().to_owned(),
        program: program(options.command, options.process, options.args),
        env,
        proxies: proxies(options.proxy),
        port: None,
        health: HealthCheck::started(),
        depends_on: Vec::new(),
        stop_signal: None,
        stdio: terminal::output_only(printer.shows_colours(), 0),
    };
    block_on(async {
        let session = Arc::new(start.setup.connect(printer).await?);
        let built = match build::build(prepared.clone(), &session, printer).await {
            Ok(BuildEnd::Stopped(code)) => return Ok(code),
            Ok(BuildEnd::Built(built)) => Some(built),
            // A later change of the source may fix the failure.
            Err(failure) => {
                printer.failure(&failure);
                None
            }
        };
        if built.as_ref().is_some_and(|built| !built.up_to_date) {
            printer.note(&format!("Built {}", launch.name));
        }
        let digest = built.map(|built| built.digest);
        printer.clear();
        let root = inputs.root.display();
        printer.note(&format!(
            "Watching {root}: a change builds it again, Ctrl-C ends it"
        ));
        let mut background = printer.background();
        let rebuilder = Rebuilder::new(inputs, prepared, digest, &mut background);
        keep(launch, rebuilder, &session, printer).await
    })
}

/// Returns a command, or a process type of the image with arguments.
fn program(is_command: bool, process: Option<String>, args: Vec<String>) -> ServiceProgram {
    if is_command {
        ServiceProgram::Command(args)
    } else {
        ServiceProgram::Process { process, args }
    }
}

fn nothing_to_watch(target: &str) -> Failure {
    let message = format!("{target:?} is not a folder: --watch needs one");
    Failure::new(FailureKind::Invalid, message)
        .with_hint("name a folder: `--watch` builds it again after each change")
}

/// Runs the process of the newest image until a signal arrives.
async fn keep(
    launch: Launch,
    mut rebuilder: Rebuilder,
    session: &Arc<Session>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::from_error(FailureKind::Machine, &error))?;
    let (order, orders) = mpsc::unbounded_channel();
    let supervisor = Supervisor {
        status_table: StatusTable::new([(launch.name.as_str(), None)].into_iter()),
        launch,
        on_exit: OnExit::Wait,
        session: Arc::clone(session),
        journal: None,
        label: None,
        printer: printer.background(),
        orders,
        held: false,
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(supervisor.run());
    let mut background = printer.background();
    // Sending fails only if the agent is gone. The code below reports that.
    if rebuilder.has_image() {
        let _ = order.send(Order::Start);
    }
    let code = loop {
        tokio::select! {
            _ = rebuilder.next(session, &mut background) => {
                let _ = order.send(Order::Start);
            }
            code = signals::end(&mut signals) => break code,
            Some(ended) = tasks.join_next() => {
                ended.unwrap_or_else(|error| Err(Failure::from_error(FailureKind::Internal, &error)))?;
            }
        }
    };
    background.clear();
    let (done, stopped) = oneshot::channel();
    let _ = order.send(Order::Stop(done));
    tokio::select! {
        _ = stopped => {}
        _ = signals::end(&mut signals) => {
            let _ = order.send(Order::Kill);
            drop(order);
            tasks.join_all().await;
        }
    }
    Ok(code)
}
