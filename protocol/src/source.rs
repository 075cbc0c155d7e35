//! The listing of a source tree: what the host announces before it sends
//! contents.

use bincode::{Decode, Encode};

/// The number of a source tree within a request. 0 is the application. The
/// others are buildpack directories
/// ([`Buildpack::Tree`](crate::request::Buildpack::Tree)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Tree(pub u16);

impl Tree {
    /// The application's own tree.
    pub const APPLICATION: Self = Self(0);
}

/// One path of a source tree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// The path below the root, `/`-separated. Without `.`, `..`, empty
    /// components, NUL, or a leading slash. At most 4,096 bytes.
    pub path: Vec<u8>,
    /// The kind of file at the path, and its metadata.
    pub kind: EntryKind,
}

/// Stands for the mode of a file whose system has no modes (Windows). The agent
/// gives a script (`#!`) or an ELF program `0o755`, and any other file `0o644`.
pub const MODE_BY_CONTENT: u16 = 0o10000;

/// A kind of file. Devices, sockets and FIFOs are not part of a source tree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum EntryKind {
    /// A directory.
    Directory {
        /// Permission bits (`0o777`).
        mode: u16,
    },
    /// A regular file.
    File {
        /// Size in bytes.
        size: u64,
        /// Permission bits (`0o777`), or [`MODE_BY_CONTENT`].
        mode: u16,
        /// Time of the last modification, in nanoseconds since the epoch.
        modified: i64,
        /// Changes whenever the content may have changed. The agent only
        /// compares it. Zero means unknown: the agent always asks for the file.
        stamp: u64,
    },
    /// A symbolic link.
    Symlink {
        /// The target, as the link holds it.
        target: Vec<u8>,
    },
}
