//! The listing of a source tree.

use bincode::{Decode, Encode};

/// Number of a source tree within a request: 0 is the application, the
/// others are buildpack directories, in the order of their mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Tree(pub u16);

impl Tree {
    /// The application's own tree.
    pub const APPLICATION: Self = Self(0);
}

/// One path of a source tree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// Bytes of the path below the root, `/`-separated, without `.`, `..`,
    /// empty components, NUL, or a leading slash; at most 4,096 bytes.
    pub path: Vec<u8>,
    /// What is there.
    pub kind: EntryKind,
}

/// The mode of a file whose system knows none: a script (`#!`) or an ELF
/// program is executable (`0o755`), anything else is not (`0o644`).
pub const MODE_BY_CONTENT: u16 = 0o10000;

/// The kinds that travel.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum EntryKind {
    /// A directory.
    Directory {
        /// Permission bits (`0o777`).
        mode: u16,
    },
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// Permission bits (`0o777`), or [`MODE_BY_CONTENT`].
        mode: u16,
        /// Nanoseconds since the epoch.
        modified: i64,
        /// Changes whenever the content may have changed; opaque to the
        /// agent. Zero means unknown: the file is always asked for.
        stamp: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Its target, as it is.
        target: Vec<u8>,
    },
}
