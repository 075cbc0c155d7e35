//! Declares `locald up`, `ps`, `logs`, `stop` and `restart`.

use std::path::PathBuf;

use clap::Args;

/// Start the services of locald.toml
///
/// locald builds changed sources, starts each service after its dependencies,
/// and starts a crashed service again. Ctrl-C stops all services; a second
/// Ctrl-C kills them. Meanwhile `locald ps`, `locald logs` and `locald stop`
/// work in another terminal.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  locald up                  all services of this folder
  locald up web              this service and its dependencies
  locald up --watch          build and restart changed services

In locald.toml:
  [services.web]
  port = 3000
  depends_on = [\"api\"]

  [services.api]
  workdir = \"api\"")]
pub(crate) struct UpOptions {
    /// Services to start, with their dependencies [default: all]
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// When the source of a service changes, build it again and restart that
    /// service; after a failed build, the old process keeps running
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Builder image for a build [default: as for `locald build`]
    #[arg(short = 'B', long, value_name = "IMAGE")]
    pub(crate) builder: Option<String>,
    #[command(flatten)]
    pub(crate) project: ProjectOption,
}

/// Show the services that `locald up` runs
#[derive(Debug, Clone, Args)]
pub(crate) struct PsOptions {
    #[command(flatten)]
    pub(crate) project: ProjectOption,
}

/// Show the output of services since `locald up` began
///
/// The output stays after `locald up` has ended. locald keeps the last 8 to
/// 16 MB.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsOptions {
    /// Show only these services
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// Follow the output until `locald up` ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) project: ProjectOption,
}

/// Stop services, or `locald up` with all services
#[derive(Debug, Clone, Args)]
pub(crate) struct ServiceStopOptions {
    /// Stop only these services, until `locald restart` or the next `locald up`
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) project: ProjectOption,
}

/// Restart services of `locald up`, or all of them
///
/// It builds nothing. The services are those of `locald.toml` when `locald up`
/// began.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServiceRestartOptions {
    /// Restart only these services, also stopped ones
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) project: ProjectOption,
}

/// Which project.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProjectOption {
    /// The project's folder [default: the current one, or the nearest above it that
    /// has a locald.toml]
    #[arg(long = "project", value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}
