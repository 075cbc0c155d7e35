//! What the host sends after its request.

use bincode::{Decode, Encode};

use crate::source::{Entry, Tree};

/// A message of the host within a request.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub enum Input {
    /// Answers [`Event::CredentialWanted`](crate::Event::CredentialWanted).
    Credential {
        /// As asked for.
        registry: String,
        /// Absent means: try anonymously.
        credential: Option<Credential>,
    },
    /// A part of the listing of one source tree, in order.
    SourceEntries {
        /// Which tree.
        tree: Tree,
        /// Sorted by path, parents before children.
        entries: Vec<Entry>,
    },
    /// The listing of all trees is complete.
    SourceListed,
    /// The contents of a wanted file follow as data on
    /// [`Channel::Bulk`](crate::Channel::Bulk), exactly `size` bytes.
    SourceFile {
        /// Which tree.
        tree: Tree,
        /// Index in that tree's listing.
        index: u32,
        /// Bytes that follow.
        size: u64,
    },
    /// A wanted file cannot be sent; the build fails with this message.
    SourceLost {
        /// Which tree.
        tree: Tree,
        /// Index in that tree's listing.
        index: u32,
        /// Why.
        message: String,
    },
    /// The terminal has a new size.
    Resize {
        /// Height in cells.
        rows: u16,
        /// Width in cells.
        columns: u16,
    },
    /// Send a signal to the container's process.
    Signal(Signal),
    /// Standard input has ended.
    StdinClosed,
}

/// Debug output must never show a secret.
impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Credential { registry, .. } => f
                .debug_struct("Credential")
                .field("registry", registry)
                .finish_non_exhaustive(),
            Self::SourceEntries { tree, entries } => f
                .debug_struct("SourceEntries")
                .field("tree", tree)
                .field("entries", &entries.len())
                .finish(),
            Self::SourceListed => f.write_str("SourceListed"),
            Self::SourceFile { tree, index, size } => f
                .debug_struct("SourceFile")
                .field("tree", tree)
                .field("index", index)
                .field("size", size)
                .finish(),
            Self::SourceLost {
                tree,
                index,
                message,
            } => f
                .debug_struct("SourceLost")
                .field("tree", tree)
                .field("index", index)
                .field("message", message)
                .finish(),
            Self::Resize { rows, columns } => f
                .debug_struct("Resize")
                .field("rows", rows)
                .field("columns", columns)
                .finish(),
            Self::Signal(signal) => f.debug_tuple("Signal").field(signal).finish(),
            Self::StdinClosed => f.write_str("StdinClosed"),
        }
    }
}

/// What a registry accepts.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub enum Credential {
    /// HTTP basic, or the input of a token request.
    Basic {
        /// Account name.
        username: String,
        /// Password or access token.
        password: String,
    },
    /// An identity token: sent as a refresh token to the token server.
    Identity {
        /// The token.
        token: String,
    },
}

/// Signals that the host forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Signal {
    /// SIGINT
    Interrupt,
    /// SIGTERM
    Terminate,
    /// SIGHUP
    Hangup,
    /// SIGQUIT
    Quit,
    /// SIGKILL
    Kill,
    /// SIGUSR1
    User1,
    /// SIGUSR2
    User2,
}
