//! What the host sends after its request.

use bincode::{Decode, Encode};

use crate::folder::FolderInput;
use crate::source::{Entry, Tree};

/// A message of the host within a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Input {
    /// Answers [`Event::CredentialWanted`](crate::Event::CredentialWanted).
    Credential {
        /// As asked for.
        repository: String,
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
    /// Tell which TCP ports the container listens on, from now on:
    /// [`Event::PortOpened`](crate::Event::PortOpened).
    WatchPorts,
    /// About a folder that is kept in step.
    Folder(FolderInput),
    /// Ask the container's process to end: by the signal that its image names.
    Stop,
    /// The host sends no more data on a forwarded connection
    /// ([`Request::Forward`](crate::Request::Forward)); the agent still may.
    EndOfData,
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

/// Debug output never shows the secret.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic { .. }",
            Self::Identity { .. } => "Identity { .. }",
        })
    }
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
