//! Declares `locald up`, `ps`, `logs`, `stop` and `restart`.

use std::path::PathBuf;

use clap::Args;

/// Start the services of locald.toml
///
/// What has changed is built, services start after those that they depend on,
/// and are started again when they crash. Ctrl-C stops all of them, a second
/// one at once. `locald ps`, `locald logs` and `locald stop` work meanwhile, in
/// another terminal.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  locald up                  all services of this folder
  locald up web              this one, and what it depends on
  locald up --watch          build and restart what changes

In locald.toml:
  [services.web]
  port = 3000
  depends_on = [\"api\"]

  [services.api]
  workdir = \"api\"")]
pub(crate) struct UpOptions {
    /// Services to start, with what they depend on [default: all]
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// When the source of a service changes, build it again and restart that
    /// service; a build that fails leaves the old one running
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Builder image for a build [default: as of `locald build`]
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

/// Show what services have written since `locald up` began
///
/// It stays readable when `locald up` has ended. The last 8 to 16 MB are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsOptions {
    /// Only of these services
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// Go on until `locald up` ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) project: ProjectOption,
}

/// Stop services, or all of them and `locald up` itself
#[derive(Debug, Clone, Args)]
pub(crate) struct ServiceStopOptions {
    /// Only these services; they stay stopped until `locald restart`, or until
    /// `locald up` begins anew
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) project: ProjectOption,
}

/// Restart services of `locald up`, or all of them
///
/// Nothing is built, and the services are those that `locald.toml` had when
/// `locald up` began.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServiceRestartOptions {
    /// Only these services, also those that were stopped
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
