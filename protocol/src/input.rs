//! What the host sends after its request. The [crate's
//! table](crate#one-request) lists the inputs of each request.

use bincode::{Decode, Encode};

use crate::folder::FolderInput;
use crate::source::{Entry, Tree};

/// A message of the host within a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Input {
    /// Answers [`Event::CredentialWanted`](crate::Event::CredentialWanted).
    Credential {
        /// The repository of the event.
        repository: String,
        /// If absent, the agent tries without an account.
        credential: Option<Credential>,
    },
    /// A part of the listing of one source tree. At most 2,000,000 entries in
    /// all parts of all trees.
    SourceEntries {
        /// The tree.
        tree: Tree,
        /// Sorted by path, parents before children, across all parts of a tree.
        entries: Vec<Entry>,
    },
    /// The listings of all trees are complete.
    SourceListed,
    /// A wanted file. Exactly `size` bytes follow on
    /// [`Channel::Bulk`](crate::Channel::Bulk).
    SourceFile {
        /// The tree.
        tree: Tree,
        /// Index in that tree's listing.
        index: u32,
        /// Bytes that follow.
        size: u64,
    },
    /// A wanted file cannot be sent. A build fails with this message.
    SourceLost {
        /// The tree.
        tree: Tree,
        /// Index in that tree's listing.
        index: u32,
        /// What failed.
        message: String,
    },
    /// The terminal has a new size.
    Resize {
        /// Height in cells.
        rows: u16,
        /// Width in cells.
        columns: u16,
    },
    /// Sends a signal to the process.
    Signal(Signal),
    /// Standard input of the process ends here.
    StdinClosed,
    /// From now on, report the TCP ports that the process and its descendants
    /// listen on: [`Event::PortOpened`](crate::Event::PortOpened).
    WatchPorts,
    /// A message of [`Request::Folder`](crate::Request::Folder).
    Folder(FolderInput),
    /// Asks the process to end, by the signal that its image names, else by
    /// SIGTERM (a program of the machine itself: SIGHUP).
    Stop,
    /// The host sends no more data on a forwarded connection
    /// ([`Request::Forward`](crate::Request::Forward)). The agent still may.
    EndOfData,
}

/// An account at a registry.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub enum Credential {
    /// For HTTP basic authentication, or for a token request.
    Basic {
        /// Account name.
        username: String,
        /// Password or access token.
        password: String,
    },
    /// An identity token, which the agent sends to the token server as a
    /// refresh token.
    Identity {
        /// The token.
        token: String,
    },
}

/// Never shows the secret.
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
