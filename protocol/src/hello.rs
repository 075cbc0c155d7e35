//! The first message of each side. Its format is fixed and hand-coded, so that
//! versions with no common protocol still understand it.
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
//! All other bytes are zero; the reader ignores them. The verdict is 0 (accepted),
//! 1 (no common version) or 2 (wrong token).

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The only version of the protocol so far.
pub const VERSION: u16 = 1;
/// Carriage return and line feed detect a transport that changes line endings.
const MAGIC: &[u8; 8] = b"LOCALD\r\n";
const HOST_LENGTH: usize = 96;
const AGENT_LENGTH: usize = 64;
const BUILD_ID: usize = 40;
/// The peer's hello must arrive within this time.
const DEADLINE: Duration = Duration::from_secs(10);

/// A secret that an agent requires from hosts, if other users can connect to it
/// (over vsock). All zero where the agent requires none.
#[derive(Clone, Default)]
pub struct Token(pub [u8; 32]);

impl Token {
    /// Compares in constant time.
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

/// The peer, as its hello describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The version of the protocol in use.
    pub version: u16,
    /// Feature bits that both sides have.
    pub features: u64,
    /// The peer's build, as [`build_id`](crate::build_id) names it.
    pub build_id: String,
}

/// Why the two sides cannot communicate.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The stream failed or ended.
    #[error("the connection broke before the first words")]
    Io(#[from] std::io::Error),
    /// No hello arrived in time.
    #[error("the peer said nothing for 10 seconds")]
    Deadline,
    /// The peer is another program.
    #[error("the peer is not locald: its first bytes are {0:?}")]
    NotLocald(String),
    /// The two sides have no common version.
    #[error("the peer ({build_id}) speaks version {low} to {high} of the protocol, not {VERSION}")]
    Version {
        /// The peer's build.
        build_id: String,
        /// Its lowest version.
        low: u16,
        /// Its highest version.
        high: u16,
    },
    /// The agent requires another token.
    #[error("the agent refuses the token")]
    Token,
}

const ACCEPTED: u8 = 0;
const WRONG_VERSION: u8 = 1;
const WRONG_TOKEN: u8 = 2;

/// Sends the host's hello, and reads the agent's. Returns the agent.
///
/// # Errors
///
/// See [`HelloError`]. Fails after 10 seconds without an answer.
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
        // Another program may have written something and ended. What it
        // wrote explains more than the broken connection.
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

/// Reads the host's hello, and sends the agent's. Returns the host.
///
/// If `token` is given, the host must have sent the same token.
///
/// # Errors
///
/// See [`HelloError`]. The host receives the verdict first, except if its hello
/// is not one of locald's, or does not arrive within 10 seconds.
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

/// Checks the magic alone first: another program may never send more.
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
