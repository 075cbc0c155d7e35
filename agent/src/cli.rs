//! Parses the command line of `locald-agent`, and runs it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agent::server::{join, serve};
use agent::{Agent, Ownership};
use clap::{Args, Parser, Subcommand};
use protocol::Failure;
use protocol::hello::Token;

/// Serves locald hosts: builds, images, containers.
#[derive(Debug, Parser)]
#[command(name = "locald-agent", version = agent::build_id())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect standard input and output with the machine's agent, which is
    /// started when it does not run
    Join,
    #[command(flatten)]
    Serve(Service),
}

/// How this process is an agent itself.
#[derive(Debug, Subcommand)]
enum Service {
    /// Serve one host on standard input and output
    Stdio,
    /// Listen for hosts
    Serve(Serve),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Where {
    /// A unix socket, for the same user only
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// A vsock port, for everybody who has the token
    #[arg(long, value_name = "PORT", requires = "token_file")]
    vsock: Option<u32>,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    address: Where,
    /// A file of 32 bytes that hosts on vsock must show
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// The machine is the agent's own: it may set the clock and trim the disk
    #[arg(long)]
    own_machine: bool,
    /// End when no host has been connected for so long
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,
}

impl Service {
    fn ownership(&self) -> Ownership {
        match self {
            Self::Serve(options) if options.own_machine => Ownership::Own,
            Self::Stdio | Self::Serve(_) => Ownership::Shared,
        }
    }
}

pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::from_env("LOCALD_LOG");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let ended = match cli.command {
        Command::Join => join(),
        Command::Serve(service) => start(service),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("locald-agent: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

type AnyError = Box<dyn std::error::Error>;

fn join() -> Result<(), AnyError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let joined = runtime.block_on(join::join());
    // A thread may still wait for standard input.
    runtime.shutdown_background();
    Ok(joined?)
}

fn start(service: Service) -> Result<(), AnyError> {
    agent::kernel::descriptors::raise();
    // Do this before this process is root of a namespace.
    let home = agent::home();
    // Do this before there is a second thread.
    let entered = agent::kernel::namespace::enter().map_err(Failure::from);
    let ownership = service.ownership();
    let agent = entered.and_then(|_| Ok(Arc::new(Agent::new(home, ownership)?)));
    agent::kernel::threads::check().map_err(told)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let own = agent.as_ref().ok().cloned();
    let result = runtime.block_on(async {
        tokio::select! {
            served = dispatch(agent, service) => served,
            ended = terminated() => ended,
            () = ended(own) => Ok(()),
        }
    });
    // A thread may still wait for standard input.
    runtime.shutdown_background();
    result
}

async fn dispatch(agent: Result<Arc<Agent>, Failure>, service: Service) -> Result<(), AnyError> {
    match (service, agent) {
        (Service::Stdio, agent) => Ok(serve::stdio(agent).await?),
        (Service::Serve(options), Ok(agent)) => listen(agent, options).await,
        (Service::Serve(_), Err(failure)) => Err(told(failure)),
    }
}

fn told(failure: Failure) -> AnyError {
    let hint = failure.hint.into_iter().collect();
    let text = [vec![failure.message], failure.causes, hint].concat();
    text.join(": ").into()
}

async fn listen(agent: Arc<Agent>, options: Serve) -> Result<(), AnyError> {
    let idle = options.idle.map(Duration::from_secs);
    if let Some(path) = options.address.unix {
        let listening = || {
            let _ = writeln!(std::io::stdout(), "{}", protocol::AGENT_LISTENS);
        };
        return Ok(serve::unix(agent, &path, idle, listening).await?);
    }
    let token = options.token_file.as_deref().map(read_token).transpose()?;
    let token = token.ok_or("vsock needs --token-file")?;
    let port = options.address.vsock.unwrap_or_default();
    let listening = || {
        // The host waits for this line on the console of a guest.
        let _ = writeln!(std::io::stderr(), "{}", protocol::AGENT_LISTENS);
    };
    Ok(serve::vsock(agent, port, token, idle, listening).await?)
}

fn read_token(path: &Path) -> Result<Token, AnyError> {
    let bytes = fs_err::read(path)?;
    let token = bytes.try_into();
    let wrong = |_| format!("{} must have 32 bytes", path.display());
    Ok(Token(token.map_err(wrong)?))
}

/// Waits until a host wants the agent to end.
async fn ended(agent: Option<Arc<Agent>>) {
    match agent {
        Some(agent) => agent.ended().await,
        None => std::future::pending().await,
    }
}

async fn terminated() -> Result<(), AnyError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
