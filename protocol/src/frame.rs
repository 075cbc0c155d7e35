//! The frames of a request's stream.
//!
//! ```text
//! length u32 LE | kind u8 | payload
//! ```
//! `length` is the length of the payload in bytes. Kind 0 is a message (bincode,
//! standard configuration), at most [`CONTROL_CAP`] bytes. Kinds 1 to 4 are
//! bytes of a [`Channel`], at most [`DATA_CAP`] at a time.

use std::time::Duration;

use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{CONTROL_CAP, Channel, DATA_CAP};

/// A frame must be complete this long after its first byte.
const DEADLINE: Duration = Duration::from_mins(1);
const HEADER: usize = 5;

/// The content of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<M> {
    /// A message.
    Message(M),
    /// Bytes of a channel.
    Data(Channel, Bytes),
}

/// Why a frame cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed, or ended within a frame.
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    /// The first byte of a frame arrived, and the rest did not within a minute.
    #[error("half a frame came, and nothing more for a minute")]
    Deadline,
    /// The frame is longer than its kind may be. Nothing was allocated for it.
    #[error("a frame of {length} bytes is over the limit of {cap}")]
    TooLong {
        /// The length that the peer announced, or that was to be sent, in
        /// bytes.
        length: usize,
        /// The maximum of this kind of frame, in bytes.
        cap: usize,
    },
    /// The peer sent a kind of frame or message that this version does not
    /// know.
    #[error("the peer sent a message that this version does not know")]
    Unsupported,
    /// The bytes are not a message of the expected type.
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

/// Encodes a message, without a frame.
///
/// # Errors
///
/// [`FrameError::TooLong`] if it has more than [`CONTROL_CAP`] bytes.
pub fn encode<M: Encode>(message: &M) -> Result<Vec<u8>, FrameError> {
    let bytes = bincode::encode_to_vec(message, bincode::config::standard())
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    check(bytes.len(), CONTROL_CAP)?;
    Ok(bytes)
}

/// Decodes a message, which must use all of `bytes`.
///
/// # Errors
///
/// [`FrameError::Unsupported`] if it is a variant that this version does not
/// know, else [`FrameError::Malformed`].
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

/// Reads one frame. Returns `None` if the stream ends before a frame.
///
/// Waits for the first byte without a limit, and for the rest at most a minute.
/// Is not cancel safe: dropping the future may lose a part of a frame.
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

/// Writes a message as one frame. Does not flush.
///
/// Pass a buffered stream. Flush it when there is nothing more to send.
///
/// # Errors
///
/// [`FrameError::TooLong`] if the message has more than [`CONTROL_CAP`] bytes;
/// nothing is written then. [`FrameError::Io`] if the stream fails.
pub async fn write_message<M: Encode>(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &M,
) -> Result<(), FrameError> {
    write(stream, 0, &encode(message)?).await
}

/// Writes bytes of a channel, in frames of at most [`DATA_CAP`] bytes. Does not
/// flush, like [`write_message`].
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
