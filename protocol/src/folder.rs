//! The messages of [`Request::Folder`](crate::Request::Folder): they keep a
//! project's folder on the host and the agent's copy of it in step while a
//! shell runs.
//!
//! # Sessions
//!
//! A session is one such request. If several shells of a host use a folder, the
//! session of one of them keeps it in step ([`FolderInput::TakeOver`]). The
//! others only wait until it has ([`FolderInput::Settle`]). The host ends each
//! session with [`FolderInput::End`].
//!
//! # Rounds
//!
//! With its copy, the agent keeps the last state that both sides agreed on. All
//! changes happen in rounds:
//!
//! 1. The host sends the changes of its listing
//!    ([`Input::SourceEntries`](crate::Input::SourceEntries) of tree 0, and
//!    [`FolderInput::Gone`]), and then
//!    [`Input::SourceListed`](crate::Input::SourceListed).
//! 2. The agent asks for contents ([`FolderEvent::Wanted`]), changes its copy,
//!    and asks the host to change the folder ([`FolderEvent::Change`]).
//! 3. The agent ends the round with [`FolderEvent::Settled`].
//!
//! Between rounds, the agent may send [`FolderEvent::Changed`], after which the
//! host begins a round.

use bincode::{Decode, Encode};

use crate::source::EntryKind;

/// Returns whether a file in a git repository is only of use where git runs: a
/// lock, or an incomplete object. Such files are not kept in step. `name` is
/// the last component of the path.
pub fn is_in_flux(name: &[u8]) -> bool {
    name.ends_with(b".lock") || name.starts_with(b"tmp_")
}

/// What the host sends about a folder.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FolderInput {
    /// Paths that were listed, and do not exist any more.
    Gone {
        /// Each as in an [`Entry`](crate::source::Entry).
        paths: Vec<Vec<u8>>,
    },
    /// Answers one [`FolderEvent::Change`]. Answers come in the order of the
    /// changes.
    Answer(Answer),
    /// This session keeps the folder in step from now on. The host guarantees
    /// that none of its other processes does. So if another session still has
    /// the folder, its host was killed: the agent ends that host's connection
    /// with all its requests.
    TakeOver,
    /// Another process of this host keeps the folder in step. The agent is to
    /// report ([`FolderEvent::Shared`]) when that session has transferred
    /// everything that the folder has now.
    Settle,
    /// Ends the session. The agent's copy stays.
    End,
}

/// What the agent sends about a folder.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FolderEvent {
    /// Answers [`FolderInput::Settle`].
    Shared,
    /// Answers [`FolderInput::TakeOver`]. The host may begin its first round.
    Ready,
    /// A round is due, because the agent's copy has changed or another session
    /// waits for one. Sent once before each round at most.
    Changed,
    /// The host is to send the contents of these files. It answers in this
    /// order, with [`Input::SourceFile`](crate::Input::SourceFile) and its
    /// bytes, or with [`Input::SourceLost`](crate::Input::SourceLost). The
    /// index is the position in `paths`.
    Wanted {
        /// Listed paths of regular files.
        paths: Vec<Vec<u8>>,
    },
    /// The host is to change the folder at one path.
    Change(Change),
    /// The agent cannot send all bytes of the last change's file. The host does
    /// not make that change.
    Torn,
    /// Both sides had changed a path. The host's version stays.
    Conflict {
        /// The path.
        path: Vec<u8>,
        /// The path of the agent's version from now on, on both sides.
        kept: Vec<u8>,
    },
    /// The round is over.
    Settled {
        /// Whether something changed meanwhile, so that another round is due.
        again: bool,
    },
}

/// A change of the agent's copy that the host is to make in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Change {
    /// The path, as in an [`Entry`](crate::source::Entry).
    pub path: Vec<u8>,
    /// What the host last listed at the path. If the path has changed since,
    /// the host does not make the change.
    pub expected: Option<EntryKind>,
    /// What the path is to be. If absent, the host removes the path, except a
    /// directory that is not empty. After a file, exactly `size` bytes follow
    /// on [`Channel::Bulk`](crate::Channel::Bulk); its time and stamp mean
    /// nothing.
    pub wanted: Option<EntryKind>,
}

/// The result of a change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// The host has made it. The path now has this.
    Made(Option<EntryKind>),
    /// The host has not made it: the path is not as expected.
    Stale,
    /// The host's file system cannot have it.
    Refused {
        /// Why.
        reason: String,
    },
}
