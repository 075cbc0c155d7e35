//! Downloads the bytes of a blob in order. Resumes on a new connection if one
//! breaks.

use std::io::{self, Read};

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::mpsc;

use super::RegistryError;
use super::client::RegistryClient;
use super::request::{Operation, RegistryRequest, Target};
use crate::store::Descriptor;

/// The most chunks in the queue between the network and the thread that
/// unpacks.
const QUEUE: usize = 16;
/// The most broken connections before a download fails.
const RESUMES: u32 = 8;

/// The reading end of a download, for a thread that may block; see [`pipe`].
pub(super) struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    current: Bytes,
    left: u64,
}

/// Connects a download to a thread that reads exactly `size` bytes.
pub(super) fn pipe(size: u64) -> (mpsc::Sender<Bytes>, Chunks) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let chunks = Chunks {
        receiver,
        current: Bytes::new(),
        left: size,
    };
    (sender, chunks)
}

impl Chunks {
    /// The next bytes; empty at the end. Blocks the thread.
    pub(super) fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None if self.left == 0 => break,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(&self.current)
    }

    /// Removes and returns the first `count` of these bytes.
    pub(super) fn consume(&mut self, count: usize) -> Bytes {
        self.left = self.left.saturating_sub(count as u64);
        self.current.split_to(count)
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Sends the bytes of a blob into a pipe. Resumes a broken connection where it
/// broke. The reader must verify the digest. Ends early, without an error, if
/// the reader closes the pipe.
pub(super) async fn download(
    client: &RegistryClient,
    repository: &str,
    blob: &Descriptor,
    sink: &mpsc::Sender<Bytes>,
    mut progress: impl FnMut(u64),
) -> Result<(), RegistryError> {
    let what = format!("layer {} of {repository}", &blob.digest.hex()[..12]);
    let mut done = 0;
    let mut breaks = 0;
    while done < blob.size {
        let (mut response, mut skip) = resume(client, repository, blob, done, &what).await?;
        let (mut body_timeout, mut reason) = (client.body_timeout(), String::new());
        loop {
            let chunk = match body_timeout.next(response.chunk()).await {
                Ok(Some(chunk)) => chunk,
                // The response ended regularly, so another one would be as
                // short.
                Ok(None) if done < blob.size => {
                    let reason = format!("{done} bytes instead of {}", blob.size);
                    return Err(client.protocol_error(&what, reason));
                }
                Ok(None) => break,
                Err(error) if breaks == RESUMES => return Err(client.unreachable(error)),
                Err(error) => {
                    reason = error.root_cause();
                    break;
                }
            };
            let fresh = after(chunk, &mut skip);
            if fresh.is_empty() {
                continue;
            }
            done += fresh.len() as u64;
            if done > blob.size {
                let reason = format!("more than the announced {} bytes", blob.size);
                return Err(client.protocol_error(&what, reason));
            }
            progress(done);
            if sink.send(fresh).await.is_err() {
                return Ok(());
            }
        }
        if done < blob.size {
            breaks += 1;
            let reason = format!(
                "connection broke at {done} of {} bytes: {reason}",
                blob.size
            );
            client.pause(breaks, None, reason, &what).await;
        }
    }
    Ok(())
}

/// Requests the bytes after the first `done`. Returns the response, and the
/// number of its bytes to skip.
async fn resume(
    client: &RegistryClient,
    repository: &str,
    blob: &Descriptor,
    done: u64,
    what: &str,
) -> Result<(Response, u64), RegistryError> {
    let response = get(client, repository, blob, done, what).await?;
    match begin(&response) {
        Some(begin) if begin <= done => return Ok((response, done - begin)),
        // The response does not continue there, so request the whole blob.
        _ => {}
    }
    let response = get(client, repository, blob, 0, what).await?;
    match begin(&response) {
        Some(0) => Ok((response, done)),
        _ => Err(client.protocol_error(what, "another range than it was asked for")),
    }
}

async fn get(
    client: &RegistryClient,
    repository: &str,
    blob: &Descriptor,
    done: u64,
    what: &str,
) -> Result<Response, RegistryError> {
    let request = RegistryRequest {
        method: Method::GET,
        target: Target::Path(&format!("blobs/{}", blob.digest)),
        repository,
        operation: Operation::Pull,
        what,
        sent: None,
    };
    let from = |request: reqwest::RequestBuilder| {
        if done == 0 {
            request
        } else {
            request.header(RANGE, format!("bytes={done}-"))
        }
    };
    client.send(&request, from).await
}

/// The offset in the blob at which a response begins. A registry may ignore the
/// requested range.
fn begin(response: &Response) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Some(0);
    }
    let header = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (start, _) = header.strip_prefix("bytes ")?.split_once('-')?;
    start.parse().ok()
}

fn after(mut chunk: Bytes, skip: &mut u64) -> Bytes {
    let count = usize::try_from(*skip)
        .unwrap_or(usize::MAX)
        .min(chunk.len());
    *skip -= count as u64;
    chunk.split_off(count)
}
