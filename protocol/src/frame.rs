//! Frames of a request's stream.
//!
//! ```text
//! length u32 LE | kind u8 | payload
//! ```
//! `length` counts the payload. Kind 0 is a message (bincode, standard
//! configuration), 1 to 4 are bytes of a [`Channel`].

use std::time::Duration;

use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{CONTROL_CAP, Channel, DATA_CAP};

/// A frame whose first byte has come must be whole in this time.
const DEADLINE: Duration = Duration::from_mins(1);
const HEADER: usize = 5;

/// What stands in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<M> {
    /// A message.
    Message(M),
    /// Bytes of a channel.
    Data(Channel, Bytes),
}

/// A frame cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream has failed, or ended within a frame.
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    /// The first byte of a frame came, the rest did not.
    #[error("half a frame came, and nothing more for a minute")]
    Deadline,
    /// Refused before anything was allocated.
    #[error("a frame of {length} bytes is over the limit of {cap}")]
    TooLong {
        /// What the peer announced, or what was to be sent.
        length: usize,
        /// What its kind may have.
        cap: usize,
    },
    /// The peer knows a kind of frame or message that we do not.
    #[error("the peer sent a message that this version does not know")]
    Unsupported,
    /// The bytes are no message.
    #[error("the peer sent a malformed message: {0}")]
    Malformed(String),
}

impl Channel {
    fn kind(self) -> u8 {
        match self {
            Self::Stdin => 1,
            Self::Stdout => 2,
            Self::Stderr => 3,
            Self::Bulk => 4,
        }
    }

    fn from_kind(kind: u8) -> Option<Self> {
        let all = [Self::Stdin, Self::Stdout, Self::Stderr, Self::Bulk];
        all.into_iter().find(|channel| channel.kind() == kind)
    }
}

/// The bytes of a message, without a frame.
pub fn encode<M: Encode>(message: &M) -> Result<Vec<u8>, FrameError> {
    let bytes = bincode::encode_to_vec(message, bincode::config::standard())
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    check(bytes.len(), CONTROL_CAP)?;
    Ok(bytes)
}

/// The message that the bytes are, all of them.
pub fn decode<M: Decode<()>>(bytes: &[u8]) -> Result<M, FrameError> {
    let config = bincode::config::standard().with_limit::<{ CONTROL_CAP * 4 }>();
    match bincode::decode_from_slice(bytes, config) {
        Ok((message, used)) if used == bytes.len() => Ok(message),
        Ok((_, used)) => Err(FrameError::Malformed(format!(
            "{} bytes too many",
            bytes.len() - used
        ))),
        Err(DecodeError::UnexpectedVariant { .. }) => Err(FrameError::Unsupported),
        Err(error) => Err(FrameError::Malformed(error.to_string())),
    }
}

/// Reads one frame; absent at the end of the stream.
pub async fn read<M: Decode<()>>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<Frame<M>>, FrameError> {
    let mut header = [0; HEADER];
    if stream.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    match tokio::time::timeout(DEADLINE, read_rest(stream, &mut header)).await {
        Ok(frame) => frame.map(Some),
        Err(_) => Err(FrameError::Deadline),
    }
}

async fn read_rest<M: Decode<()>>(
    stream: &mut (impl AsyncRead + Unpin),
    header: &mut [u8; HEADER],
) -> Result<Frame<M>, FrameError> {
    stream.read_exact(&mut header[1..]).await?;
    let [a, b, c, d, kind] = *header;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if kind == 0 {
        check(length, CONTROL_CAP)?;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        return Ok(Frame::Message(decode(&payload)?));
    }
    let channel = Channel::from_kind(kind).ok_or(FrameError::Unsupported)?;
    check(length, DATA_CAP)?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok(Frame::Data(channel, payload.into()))
}

/// Writes a message as one frame. The stream is not flushed: it should gather
/// small writes, and be flushed when there is nothing more to say.
pub async fn write_message<M: Encode>(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &M,
) -> Result<(), FrameError> {
    write(stream, 0, &encode(message)?).await
}

/// Writes bytes of a channel, in as many frames as they need; the stream is not
/// flushed, see [`write_message`].
pub async fn write_data(
    stream: &mut (impl AsyncWrite + Unpin),
    channel: Channel,
    bytes: &[u8],
) -> Result<(), FrameError> {
    for chunk in bytes.chunks(DATA_CAP) {
        write(stream, channel.kind(), chunk).await?;
    }
    Ok(())
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    payload: &[u8],
) -> Result<(), FrameError> {
    let length = u32::try_from(payload.len()).map_err(|_| FrameError::TooLong {
        length: payload.len(),
        cap: DATA_CAP,
    })?;
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4] = kind;
    stream.write_all(&header).await?;
    Ok(stream.write_all(payload).await?)
}

fn check(length: usize, cap: usize) -> Result<(), FrameError> {
    if length > cap {
        return Err(FrameError::TooLong { length, cap });
    }
    Ok(())
}
