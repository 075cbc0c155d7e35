//! A project's folder on both sides, in step while a shell runs.
//!
//! Of several shells of a host one keeps it in step ([`FolderInput::TakeOver`]);
//! the others only ask whether it is ([`FolderInput::Settle`]).
//!
//! The agent keeps a copy of the folder and, with it, what both sides last
//! agreed on. Everything happens in rounds, which the host begins: it sends
//! what has changed in its listing
//! ([`Input::SourceEntries`](crate::Input::SourceEntries) of tree 0 and
//! [`FolderInput::Gone`]) and ends it with
//! [`Input::SourceListed`](crate::Input::SourceListed). The agent then asks
//! for contents, makes changes on its side, asks for changes on the host's,
//! and ends the round with [`FolderEvent::Settled`]. Nothing else is said in a
//! round. Between rounds the agent may say [`FolderEvent::Changed`]; the host
//! ends the session with [`FolderInput::End`].

use bincode::{Decode, Encode};

use crate::source::EntryKind;

/// Whether a name in a repository means something only where git runs: its
/// locks, and objects that are half written. They do not travel.
pub fn is_in_flux(name: &[u8]) -> bool {
    name.ends_with(b".lock") || name.starts_with(b"tmp_")
}

/// What the host says about a folder.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FolderInput {
    /// Paths that were listed and are no more.
    Gone {
        /// As in an [`Entry`](crate::source::Entry).
        paths: Vec<Vec<u8>>,
    },
    /// Answers [`FolderEvent::Change`], in their order.
    Answer(Answer),
    /// This session is to keep the folder in step. No other process of this host
    /// does: the host of a session that still has the folder was killed, and that
    /// session is to be ended with all its requests.
    TakeOver,
    /// Another process of this host keeps the folder in step: this one wants to
    /// know when that has brought everything that is there now.
    Settle,
    /// The session ends; the agent's copy stays.
    End,
}

/// What the agent says about a folder.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FolderEvent {
    /// Answers [`FolderInput::Settle`].
    Shared,
    /// Answers [`FolderInput::TakeOver`]: the host may begin its first round.
    Ready,
    /// Something has changed on the agent's side.
    Changed,
    /// Contents of these listed files are wanted, answered in this order by
    /// [`Input::SourceFile`](crate::Input::SourceFile) and its bytes, or by
    /// [`Input::SourceLost`](crate::Input::SourceLost), with the place in this
    /// list as index.
    Wanted {
        /// As they were listed.
        paths: Vec<Vec<u8>>,
    },
    /// The host is to change something.
    Change(Change),
    /// The bytes of the last change's file do not come: it is not made.
    Torn,
    /// Both sides had changed a path. The host's version has stayed.
    Conflict {
        /// Which.
        path: Vec<u8>,
        /// Where the agent's version is now, on both sides.
        kept: Vec<u8>,
    },
    /// The round is over.
    Settled {
        /// Something has moved meanwhile: one more is needed.
        again: bool,
    },
}

/// A change of the agent's side that the host's is to get.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Change {
    /// As in an [`Entry`](crate::source::Entry).
    pub path: Vec<u8>,
    /// What the host last said is there. When it is something else by now,
    /// the change is not made.
    pub expected: Option<EntryKind>,
    /// What is to be there; absent removes the path, a directory only when it
    /// is empty. Exactly a file's `size` bytes follow as data on
    /// [`Channel::Bulk`](crate::Channel::Bulk); its times mean nothing.
    pub wanted: Option<EntryKind>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// It is made; this is there now.
    Made(Option<EntryKind>),
    /// What is there is not what was expected.
    Stale,
    /// The host's side cannot have it.
    Refused {
        /// Why.
        reason: String,
    },
}
