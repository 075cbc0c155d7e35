//! Declares `locald image` and its subcommands.

use clap::{Args, Subcommand};

use crate::export::{ExportTarget, Tool};

/// List, inspect, tag, remove, export and load stored images
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// List the stored images
    #[command(alias = "list")]
    Ls,
    /// Show an image's names, processes, buildpacks and environment
    #[command(after_help = "\
Examples:
  locald image inspect shop
  locald image inspect shop --json | jq .config.config.Labels")]
    Inspect {
        /// Name or digest; six digits of the digest are enough
        image: String,
    },
    /// Add a name to an image
    #[command(after_help = "\
Example:
  locald image tag shop ghcr.io/me/shop:1.2")]
    Tag {
        /// Name or digest of a stored image
        image: String,
        /// The new name
        name: String,
    },
    /// Remove names, and images that have no other name
    #[command(alias = "remove")]
    Rm {
        /// Names or digests
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
    },
    Export(ExportOptions),
    Load(LoadOptions),
}

/// Load an image into Docker or Podman on this system
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  locald image load docker shop
  locald image load podman shop && podman run shop")]
pub(crate) struct LoadOptions {
    /// The tool, whose `load` command takes the image
    pub(crate) tool: Tool,
    /// Name or digest of a stored image
    pub(crate) image: String,
}

/// Write an image to a folder or a file for other tools
#[derive(Debug, Args)]
#[command(after_help = "\
Targets, named as skopeo names them:
  oci:DIR                an OCI image layout in a folder
  oci-archive:FILE       the same in a tar file
  docker-archive:FILE    what `docker load` and `podman load` read
A FILE of - is standard output.

Examples:
  locald image export shop oci-archive:shop.tar
  locald image export shop docker-archive:- | docker load")]
pub(crate) struct ExportOptions {
    /// Name or digest of a stored image
    pub(crate) image: String,
    /// Target, see below
    pub(crate) target: ExportTarget,
    /// Replace an existing file or folder
    #[arg(long)]
    pub(crate) force: bool,
}
