//! What both sides say before anything else: fixed and hand-coded, so that
//! versions that share nothing else still understand each other.
//!
//! ```text
//! host → agent, 96 bytes          agent → host, 64 bytes
//!  0  magic "LOCALD\r\n"           0  magic
//!  8  lowest version    u16 LE     8  verdict             u8
//! 10  highest version   u16 LE    10  version in use      u16 LE
//! 16  features          u64 LE    16  features            u64 LE
//! 24  build id          40 bytes  24  build id            40 bytes
//! 64  token             32 bytes
//! ```
//! What is not listed is zero, and ignored by who reads it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The only version of the protocol so far.
pub const VERSION: u16 = 1;
/// Carriage return and line feed show a transport that is not clean.
const MAGIC: &[u8; 8] = b"LOCALD\r\n";
const HOST_LENGTH: usize = 96;
const AGENT_LENGTH: usize = 64;
const BUILD_ID: usize = 40;
/// The peer must speak within this time.
const DEADLINE: Duration = Duration::from_secs(10);

/// A secret that a host must show to an agent that listens where others can
/// connect too.
#[derive(Clone, Default)]
pub struct Token(pub [u8; 32]);

impl Token {
    /// Compares in a time that says nothing about where they differ.
    fn equals(&self, other: &[u8]) -> bool {
        let pairs = self.0.iter().zip(other);
        self.0.len() == other.len() && pairs.fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    }
}

/// Debug output never shows the secret.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// What the peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The version of the protocol in use.
    pub version: u16,
    /// Feature bits that both sides have.
    pub features: u64,
    /// Which build the peer is: package version and more.
    pub build_id: String,
}

/// The two sides cannot speak to each other.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The stream has failed or ended.
    #[error("the connection broke before the first words")]
    Io(#[from] std::io::Error),
    /// Nothing came.
    #[error("the peer said nothing for 10 seconds")]
    Deadline,
    /// Something else answers.
    #[error("the peer is not locald: its first bytes are {0:?}")]
    NotLocald(String),
    /// The versions have nothing in common.
    #[error("the peer ({build_id}) speaks version {low} to {high} of the protocol, not {VERSION}")]
    Version {
        /// Which build the peer is.
        build_id: String,
        /// Its lowest version.
        low: u16,
        /// Its highest version.
        high: u16,
    },
    /// The agent wants another token.
    #[error("the agent refuses the token")]
    Token,
}

const ACCEPTED: u8 = 0;
const WRONG_VERSION: u8 = 1;
const WRONG_TOKEN: u8 = 2;

/// Speaks first, as the host; returns what the agent is.
pub async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    build_id: &str,
    token: &Token,
) -> Result<Peer, HelloError> {
    let mut hello = [0; HOST_LENGTH];
    hello[..8].copy_from_slice(MAGIC);
    hello[8..10].copy_from_slice(&VERSION.to_le_bytes());
    hello[10..12].copy_from_slice(&VERSION.to_le_bytes());
    put_text(&mut hello[24..24 + BUILD_ID], build_id);
    hello[64..].copy_from_slice(&token.0);
    let mut answer = [0; AGENT_LENGTH];
    let exchange = async {
        let written = async {
            stream.write_all(&hello).await?;
            stream.flush().await
        };
        let written = written.await;
        // A program that is no agent may have spoken and gone: its words say
        // more than that nobody listens.
        let read = read_magic(stream, &mut answer).await;
        match (written, read) {
            (Err(error), Err(HelloError::Io(_))) => Err(error.into()),
            (_, read) => read,
        }
    };
    deadline(exchange).await?;
    let version = u16_at(&answer, 10);
    let build_id = text(&answer[24..]);
    match answer[8] {
        ACCEPTED => Ok(Peer {
            version,
            features: u64_at(&answer, 16),
            build_id,
        }),
        WRONG_TOKEN => Err(HelloError::Token),
        _ => Err(HelloError::Version {
            build_id,
            low: version,
            high: version,
        }),
    }
}

/// Answers, as the agent; returns what the host is. `token` is what the host
/// must show, if it must show one.
pub async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    build_id: &str,
    token: Option<&Token>,
) -> Result<Peer, HelloError> {
    let mut hello = [0; HOST_LENGTH];
    deadline(read_magic(stream, &mut hello)).await?;
    let (low, high) = (u16_at(&hello, 8), u16_at(&hello, 10));
    let peer = text(&hello[24..24 + BUILD_ID]);
    let verdict = if !(low..=high).contains(&VERSION) {
        WRONG_VERSION
    } else if token.is_some_and(|token| !token.equals(&hello[64..])) {
        WRONG_TOKEN
    } else {
        ACCEPTED
    };
    let mut answer = [0; AGENT_LENGTH];
    answer[..8].copy_from_slice(MAGIC);
    answer[8] = verdict;
    answer[10..12].copy_from_slice(&VERSION.to_le_bytes());
    put_text(&mut answer[24..], build_id);
    stream.write_all(&answer).await?;
    stream.flush().await?;
    match verdict {
        ACCEPTED => Ok(Peer {
            version: VERSION,
            features: u64_at(&hello, 16),
            build_id: peer,
        }),
        WRONG_TOKEN => Err(HelloError::Token),
        _ => Err(HelloError::Version {
            build_id: peer,
            low,
            high,
        }),
    }
}

async fn deadline<T>(
    exchange: impl Future<Output = Result<T, HelloError>>,
) -> Result<T, HelloError> {
    match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(result) => result,
        Err(_) => Err(HelloError::Deadline),
    }
}

/// The magic is judged by itself: what is not locald may never say more.
async fn read_magic(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
) -> Result<(), HelloError> {
    stream.read_exact(&mut buffer[..MAGIC.len()]).await?;
    if &buffer[..MAGIC.len()] != MAGIC {
        let seen = String::from_utf8_lossy(&buffer[..MAGIC.len()]).into_owned();
        return Err(HelloError::NotLocald(seen));
    }
    stream.read_exact(&mut buffer[MAGIC.len()..]).await?;
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn put_text(field: &mut [u8], text: &str) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

/// Printable ASCII up to the first zero.
fn text(field: &[u8]) -> String {
    let bytes = field.iter().take_while(|byte| **byte != 0);
    bytes
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect()
}
