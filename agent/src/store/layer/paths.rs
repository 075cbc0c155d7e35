//! Holds the flags by which the modules of a layer open paths.
//!
//! The kernel resolves each path below the layer's root, so that no link leads
//! out: `openat2(2)`, `RESOLVE_IN_ROOT`.

use rustix::fs::{OFlags, ResolveFlags};

/// Opens a directory for a name below it.
pub(super) const PATH_FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Opens a directory to read it. Does not open a symbolic link.
pub(super) const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Resolves paths below the root.
pub(super) const RESOLVE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
/// The prefix of a whiteout's name: OCI image specification, "Whiteouts".
pub(super) const WHITEOUT_PREFIX: &[u8] = b".wh.";
