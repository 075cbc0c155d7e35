//! Receives files from the host.

use bytes::Bytes;
use protocol::source::{Entry, Tree};
use protocol::{Channel, Input};

use super::tree::Time;
use super::writers::Arrived;
use super::{SourceError, Times, TreeDir};
use crate::images::digest::{Digest, Hasher};
use crate::request::stream::{HostGone, Incoming, Inputs};

/// A requested file.
pub(crate) struct Wanted<'a> {
    /// The tree that contains the file.
    pub(crate) tree: Tree,
    /// The number of the file in the request.
    pub(crate) index: usize,
    /// The path and metadata of the file.
    pub(crate) entry: &'a Entry,
    /// Digest of its last received content.
    pub(crate) before: Option<Digest>,
    /// The host's times that the file may get.
    pub(crate) times: Times,
}

/// Receives one file. Returns its digest, and its size in bytes.
pub(crate) async fn receive_file(
    wanted: &Wanted<'_>,
    directory: &TreeDir,
    inputs: &mut Inputs,
) -> Result<(Digest, u64), SourceError> {
    let size = receive_size(wanted, inputs).await?;
    let digest = receive_content(wanted, size, directory, inputs).await?;
    Ok((digest, size))
}

pub(super) async fn receive_size(
    wanted: &Wanted<'_>,
    inputs: &mut Inputs,
) -> Result<u64, SourceError> {
    match inputs.recv().await.ok_or(HostGone)? {
        Incoming::Input(Input::SourceFile { tree, index, size })
            if tree == wanted.tree && usize::try_from(index) == Ok(wanted.index) =>
        {
            Ok(size)
        }
        Incoming::Input(Input::SourceLost { message, .. }) => Err(SourceError::Lost(message)),
        _ => Err(SourceError::Protocol(
            "something else than a wanted file came",
        )),
    }
}

/// Receives the whole content of a small file.
pub(super) async fn receive_whole(
    wanted: &Wanted<'_>,
    size: u64,
    inputs: &mut Inputs,
) -> Result<Arrived, SourceError> {
    let mut bytes = Vec::new();
    let mut left = size;
    while left > 0 {
        bytes.extend_from_slice(&receive_bytes(&mut left, inputs).await?);
    }
    Ok(Arrived {
        index: wanted.index,
        entry: wanted.entry.clone(),
        before: wanted.before,
        bytes,
    })
}

/// Receives and writes the content of a file in pieces.
pub(super) async fn receive_content(
    wanted: &Wanted<'_>,
    size: u64,
    directory: &TreeDir,
    inputs: &mut Inputs,
) -> Result<Digest, SourceError> {
    let mut file = directory.file(wanted.entry)?;
    let mut hasher = Hasher::new();
    let mut left = size;
    while left > 0 {
        let bytes = receive_bytes(&mut left, inputs).await?;
        hasher.update(&bytes);
        file.write(&bytes)?;
    }
    let digest = hasher.finish();
    file.finish(Time::of(digest, wanted.before, wanted.times))?;
    Ok(digest)
}

/// Receives some of the remaining bytes of a file.
async fn receive_bytes(left: &mut u64, inputs: &mut Inputs) -> Result<Bytes, SourceError> {
    let bytes = match inputs.recv().await.ok_or(HostGone)? {
        Incoming::Data(Channel::Bulk, bytes) => bytes,
        Incoming::Input(Input::SourceLost { message, .. }) => {
            return Err(SourceError::Lost(message));
        }
        _ => {
            return Err(SourceError::Protocol(
                "something else than a file's content came",
            ));
        }
    };
    *left = left
        .checked_sub(bytes.len() as u64)
        .ok_or(SourceError::Protocol("a file is longer than announced"))?;
    Ok(bytes)
}
