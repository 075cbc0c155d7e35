//! Runs the commands. Each module takes the options of one command, connects
//! with the agent, sends requests, and gives the result to the printer. For all
//! of them, `setup` connects, `rebuild` builds after changes, and `job` handles
//! Ctrl-Z.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use clap::{CommandFactory as _, Parser as _};
use protocol::request::PullPolicy;
use protocol::{Failure, FailureKind, Reply, Request};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, FRONT_PAGE, ImageCommand, PullOptions, PushOptions};
use crate::connection::session::Session;
use crate::exit_code;
use crate::machine;
use crate::output::{Answer, Printer};
use crate::platform::home::Home;
use crate::platform::terminal;
use crate::project::Project;
use crate::settings::MachineKind;
use crate::settings::Settings;

mod account;
mod build;
mod completions;
mod doctor;
mod hints;
mod image;
mod job;
mod man_pages;
mod rebuild;
mod run;
mod services;
mod setup;
mod shell;
mod store;
mod up;
mod vm;

use setup::Setup;

/// Parses and runs the command line. Returns the exit code.
pub(crate) fn run() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let words: Vec<String> = words().collect();
            return say(&hints::add(error, &words));
        }
    };
    trace();
    terminal::prepare();
    let mut printer = Printer::new(cli.global.output());
    let machine = cli.global.machine.as_ref();
    let done = match cli.command {
        Some(command) => dispatch(command, machine, &mut printer),
        None => front_page(&mut printer),
    };
    let code = done.unwrap_or_else(|failure| {
        printer.failure(&failure);
        exit_code::of(failure.kind)
    });
    printer.finish().err().unwrap_or(code)
}

/// Returns the arguments after the program's name.
fn words() -> impl Iterator<Item = String> {
    let words = std::env::args_os().skip(1);
    words.map(|word| word.to_string_lossy().into_owned())
}

/// Prints a clap error; help and version are such errors, too. Returns the exit
/// code.
fn say(error: &clap::Error) -> u8 {
    match error.print() {
        // A closed pipe is not an error: its reader needs no more output.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => exit_code::STORE,
        _ => u8::try_from(error.exit_code()).unwrap_or(exit_code::USAGE),
    }
}

fn front_page(printer: &mut Printer) -> Result<u8, Failure> {
    if printer.is_for_programs() {
        let failure = Failure::new(FailureKind::Invalid, "no command is given");
        return Err(failure.with_hint("`locald help` lists the commands"));
    }
    printer.text(FRONT_PAGE);
    Ok(exit_code::SUCCESS)
}

/// Logs to standard error. `LOCALD_LOG=debug` selects the events.
fn trace() {
    if std::env::var_os("LOCALD_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::from_env("LOCALD_LOG"))
            .with_writer(std::io::stderr)
            .init();
    }
}

fn dispatch(
    command: Command,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    match command {
        Command::Completions(options) => Ok(completions::run(&options, printer)),
        Command::ManPages(options) => man_pages::run(&options),
        Command::Login(options) => account::login(&options, printer),
        Command::Logout(options) => account::logout(&options, printer),
        Command::Vm(command) => vm::run(&command, machine, printer),
        Command::Build(options) => build::run(&options, machine, printer),
        Command::Run(options) => run::run(options, machine, printer),
        Command::Shell(options) => shell::run(&options, machine, printer),
        Command::Up(options) => up::run(&options, machine, printer),
        Command::Ps(options) => services::ps(&options, printer),
        Command::Logs(options) => services::logs(&options, printer),
        Command::Stop(options) => services::stop(&options, printer),
        Command::Restart(options) => services::restart(&options, printer),
        Command::Image(command) => image::run(command, machine, printer),
        Command::Images => image::run(ImageCommand::Ls, machine, printer),
        Command::Inspect { image } => image::run(ImageCommand::Inspect { image }, machine, printer),
        Command::Rmi { images } => image::run(ImageCommand::Rm { images }, machine, printer),
        Command::Tag { image, name } => {
            image::run(ImageCommand::Tag { image, name }, machine, printer)
        }
        Command::Version => {
            printer.text(&Cli::command().render_version());
            Ok(exit_code::SUCCESS)
        }
        Command::Push(options) => push(&options, machine, printer),
        Command::Pull(options) => pull(&options, machine, printer),
        Command::Store(options) => store::run(&options, machine, printer),
        Command::Prune(options) => store::prune(options, machine, printer),
        Command::Doctor => doctor::run(machine, printer),
    }
}

/// The state with which every command on a folder starts.
struct Start {
    home: Home,
    settings: Settings,
    setup: Setup,
}

impl Start {
    /// Reads all settings and enters the agent's namespaces.
    fn at(
        folder: &Path,
        machine: Option<&MachineKind>,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        let home = Home::find()?;
        let settings = Settings::load(folder, &home)?;
        Self::with(home, settings, machine, printer)
    }

    /// Like [`at`](Self::at), for a build. The user may name another
    /// project.toml. An archive has no settings of its own, as with pack.
    fn of_build(
        project: &Project,
        descriptor: Option<&Path>,
        machine: Option<&MachineKind>,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        let home = Home::find()?;
        let folder = &project.folder;
        let settings = match (&project.archive, descriptor) {
            (Some(_), _) => Settings::load_without_project(folder, &home)?,
            (None, Some(_)) => Settings::load_without_descriptor(folder, &home)?,
            (None, None) => Settings::load(folder, &home)?,
        };
        let settings = match descriptor {
            Some(file) => settings.with_descriptor(file)?,
            None => settings,
        };
        Self::with(home, settings, machine, printer)
    }

    fn with(
        home: Home,
        settings: Settings,
        machine: Option<&MachineKind>,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        let setup = Setup::new(&home, &settings, machine, printer)?;
        Ok(Self {
            home,
            settings,
            setup,
        })
    }

    /// Like [`at`](Self::at), for commands without a project. The current
    /// folder's settings decide how to reach registries.
    fn here(machine: Option<&MachineKind>, printer: &mut Printer) -> Result<Self, Failure> {
        let folder = Project::find(None).map(|project| project.folder);
        Self::at(&folder.unwrap_or_default(), machine, printer)
    }
}

/// Prints the project's folder if it is not the current folder.
fn announce(project: &Project, printer: &mut Printer) {
    if project.is_above() {
        printer.note(&format!("Project: {}", project.folder.display()));
    }
}

/// Asks the user whether to continue. Fails if the user refuses, or if standard
/// input is not a terminal.
fn confirm() -> Result<(), Failure> {
    let refused = |message: &str| Failure::new(FailureKind::Cancelled, message);
    if !std::io::stdin().is_terminal() {
        let failure = Failure::new(
            FailureKind::Invalid,
            "standard input is not a terminal, so locald cannot ask",
        );
        return Err(failure.with_hint("`--yes` goes on without a question"));
    }
    let failed = |error: std::io::Error| Failure::from_error(FailureKind::Machine, &error);
    let mut stderr = std::io::stderr();
    write!(stderr, "Go on? [y/N] ").map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(refused("nothing was done"))
    }
}

/// Runs a future to its end. Call it after all work that needs a process with
/// one thread.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    machine::check_threads()?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::from_error(FailureKind::Machine, &error))?;
    let result = runtime.block_on(work);
    // Do not wait for threads of cancelled work.
    runtime.shutdown_background();
    result
}

/// Connects, sends one request, and returns its reply.
fn ask(
    setup: Setup,
    printer: &mut Printer,
    request: impl FnOnce(&Session) -> Request,
) -> Result<Reply, Failure> {
    block_on(async {
        let session = setup.connect(printer).await?;
        let request = request(&session);
        session.request(&request, printer).await?.reply().await
    })
}

fn push(
    options: &PushOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let target = options.target.as_ref().unwrap_or(&options.image);
    let setup = Start::here(machine, printer)?.setup;
    let reply = ask(setup, printer, |session| Request::Push {
        image: options.image.clone(),
        target: target.clone(),
        access: session.access.clone(),
    })?;
    if let Reply::Digest(digest) = reply {
        let image = target.clone();
        printer.answer(&Answer::Pushed { image, digest });
    }
    Ok(exit_code::SUCCESS)
}

fn pull(
    options: &PullOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let setup = Start::here(machine, printer)?.setup;
    let reply = ask(setup, printer, |session| Request::Pull {
        image: options.image.clone(),
        policy: PullPolicy::from(options.pull),
        access: session.access.clone(),
    })?;
    if let Reply::Digest(digest) = reply {
        let image = options.image.clone();
        printer.answer(&Answer::Pulled { image, digest });
    }
    Ok(exit_code::SUCCESS)
}

/// The failure for a reply that does not belong to the request.
fn unexpected(reply: &Reply) -> Failure {
    Failure::new(
        FailureKind::Internal,
        format!("the agent sent an answer of another kind: {reply:?}"),
    )
}
