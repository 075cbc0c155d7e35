//! Limits the time that locald waits for a registry that makes no progress.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// A download must bring [`LEAST`] bytes in this time of waiting. The time that
/// locald itself takes does not count.
const WINDOW: Duration = Duration::from_mins(1);
const LEAST: u64 = 30 * 1024;
/// In this time an upload must send bytes or get its response. Some registries
/// copy a large blob before they answer.
const QUIET: Duration = Duration::from_mins(15);

/// A connection failed or made no progress.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// An error of the HTTP client.
    #[error(transparent)]
    Http(reqwest::Error),
    /// The connection is open and brings no bytes.
    #[error("nothing came for {} seconds", .0.as_secs())]
    Silent(Duration),
    /// The connection brings too few bytes.
    #[error("less than {} KiB came in a minute", LEAST / 1024)]
    Slow,
    /// The connection accepts no bytes of an upload.
    #[error("nothing of the upload moved for {} minutes", QUIET.as_secs() / 60)]
    Stuck,
    /// The server redirects too often.
    #[error("it leads from one address to the next without end")]
    Redirects,
}

/// Removes the address from the error, because a signed address is a secret.
impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

impl TransportError {
    /// Whether another attempt would fail, too: the server refuses connections,
    /// or its name does not resolve.
    pub(super) fn is_final(&self) -> bool {
        const FINAL: [&str; 5] = [
            "refused",
            "lookup",
            "certificate",
            "InvalidContentType",
            "name",
        ];
        match self {
            Self::Http(error) if error.is_builder() => true,
            Self::Http(error) if error.is_connect() => {
                let cause = self.root_cause();
                FINAL.iter().any(|word| cause.contains(word))
            }
            Self::Redirects => true,
            _ => false,
        }
    }

    pub(super) fn root_cause(&self) -> String {
        let mut cause: &dyn std::error::Error = self;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    }
}

/// The limit on the wait for a response.
#[derive(Debug, Clone, Copy)]
pub(super) enum ResponseTimeout<'a> {
    /// A fixed time.
    Idle(Duration),
    /// A time without progress of the request's body. The counter holds the
    /// bytes sent.
    Upload(&'a AtomicU64, Duration),
}

impl<'a> ResponseTimeout<'a> {
    pub(super) fn upload(sent: &'a AtomicU64) -> Self {
        Self::Upload(sent, QUIET)
    }
}

impl ResponseTimeout<'_> {
    pub(super) async fn wait<T>(
        self,
        answer: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, TransportError> {
        match self {
            Self::Idle(idle) => match timeout(idle, answer).await {
                Ok(answer) => Ok(answer?),
                Err(_) => Err(TransportError::Silent(idle)),
            },
            Self::Upload(sent, quiet) => {
                let mut answer = pin!(answer);
                loop {
                    let before = sent.load(Ordering::Relaxed);
                    if let Ok(answer) = timeout(quiet, &mut answer).await {
                        return Ok(answer?);
                    }
                    if sent.load(Ordering::Relaxed) == before {
                        return Err(TransportError::Stuck);
                    }
                }
            }
        }
    }
}

/// The limit on the time for one response's body.
#[derive(Debug)]
pub(super) struct BodyTimeout {
    idle: Duration,
    waited: Duration,
    bytes: u64,
}

impl BodyTimeout {
    pub(super) fn new(idle: Duration) -> Self {
        Self {
            idle,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// The next chunk of a body.
    pub(super) async fn next<T: AsRef<[u8]>>(
        &mut self,
        chunk: impl Future<Output = Result<Option<T>, reqwest::Error>>,
    ) -> Result<Option<T>, TransportError> {
        let begin = Instant::now();
        let chunk = ResponseTimeout::Idle(self.idle).wait(chunk).await?;
        if let Some(chunk) = &chunk {
            self.note(begin.elapsed(), chunk.as_ref().len() as u64)?;
        }
        Ok(chunk)
    }

    /// Records that bytes arrived after a wait.
    fn note(&mut self, waited: Duration, bytes: u64) -> Result<(), TransportError> {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < WINDOW {
            return Ok(());
        }
        if self.bytes < LEAST {
            return Err(TransportError::Slow);
        }
        *self = Self::new(self.idle);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    /// Simulates a body with a chunk of `bytes` bytes every `seconds` seconds.
    /// Returns the seconds of waiting after which locald gives up, if it does
    /// within an hour.
    fn given_up(bytes: u64, seconds: u64) -> Option<u64> {
        let mut body_timeout = BodyTimeout::new(WINDOW);
        let mut times = (1..).map(|count| count * seconds);
        times.by_ref().take_while(|time| *time < 3600).find(|_| {
            body_timeout
                .note(Duration::from_secs(seconds), bytes)
                .is_err()
        })
    }

    #[test]
    fn a_body_that_trickles_is_given_up() {
        assert_eq!(given_up(1, 2), Some(60));
        assert_eq!(given_up(500, 1), Some(60));
        assert_eq!(given_up(14_000, 50), Some(100));
        assert_eq!(given_up(520, 1), None);
        // Chunks may be large and rare.
        assert_eq!(given_up(40_000, 59), None);
    }

    #[test]
    fn a_fast_minute_does_not_pay_for_a_slow_one() {
        let (mut body_timeout, second) = (BodyTimeout::new(WINDOW), Duration::from_secs(1));
        for _ in 0..60 {
            assert!(body_timeout.note(second, 1_000_000).is_ok());
        }
        let noted = (0..60).map(|_| body_timeout.note(second, 1));
        assert_eq!(noted.filter(Result::is_err).count(), 1);
    }

    #[tokio::test]
    async fn an_upload_may_take_long_while_it_moves() {
        let (sent, quiet) = (AtomicU64::new(0), Duration::from_millis(1));
        // Each look at the counter finds that more bytes were sent.
        let moving = poll_fn(|_| match sent.fetch_add(1, Ordering::Relaxed) {
            50 => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        });
        let moved = ResponseTimeout::Upload(&sent, quiet).wait(moving).await;
        assert!(moved.is_ok(), "{moved:?}");
        let stuck = std::future::pending::<Result<(), _>>();
        let stuck = ResponseTimeout::Upload(&sent, quiet).wait(stuck).await;
        assert!(matches!(stuck, Err(TransportError::Stuck)), "{stuck:?}");
    }
}
