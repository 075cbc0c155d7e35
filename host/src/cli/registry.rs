//! Declares `locald push`, `pull`, `login` and `logout`.

use clap::Args;

use crate::settings::PullChoice;

/// Push a stored image to its registry
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  locald push ghcr.io/me/shop:1.2
  locald push shop ghcr.io/me/shop:1.2")]
pub(crate) struct PushOptions {
    /// Name or digest of a stored image
    pub(crate) image: String,
    /// Name to push it to [default: IMAGE]
    pub(crate) target: Option<String>,
}

/// Pull an image into the store
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  locald pull heroku/builder:26")]
pub(crate) struct PullOptions {
    /// The image
    pub(crate) image: String,
    /// When to check the registry for a newer image
    #[arg(long, value_enum, value_name = "WHEN", default_value = "always")]
    pub(crate) pull: PullChoice,
}

/// Save an account for a registry
///
/// locald also uses accounts of `docker login` and `podman login`, and their
/// credential helpers. This command is for systems that have neither.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  locald login ghcr.io --username me
  echo \"$TOKEN\" | locald login ghcr.io --username me --password-stdin")]
pub(crate) struct LoginOptions {
    /// The registry: docker.io, ghcr.io, localhost:5000
    pub(crate) registry: String,
    /// User name; locald asks for it if it is missing
    #[arg(short, long)]
    pub(crate) username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,
}

/// Remove an account that `locald login` saved
#[derive(Debug, Args)]
pub(crate) struct LogoutOptions {
    /// The registry
    pub(crate) registry: String,
}
