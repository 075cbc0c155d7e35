//! The control socket of a running `locald up`: requests and replies, one JSON
//! object a line.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite,
    AsyncWriteExt as _, BufReader,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

#[cfg(unix)]
#[path = "control/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "control/windows.rs"]
mod imp;

/// The maximum length of a line, in bytes.
const LONGEST: u64 = 64 * 1024;

/// How long a client may take to read its reply when `locald up` ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause after the system fails to accept a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// The time limit for a running `locald up` to acknowledge a request.
const HEARS: Duration = Duration::from_secs(5);

/// A request. Without names, it is for all services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ControlRequest {
    /// Stop these services.
    Stop(Vec<String>),
    /// Restart these services, also stopped ones.
    Restart(Vec<String>),
}

/// The reply to a request.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ControlReply {
    /// `locald up` has received the request. Another reply follows.
    Heard,
    /// These services have stopped.
    Stopped(Vec<String>),
    /// These services restart.
    Restarted(Vec<String>),
    /// The request cannot be done, for this reason.
    Refused(String),
}

/// A received request.
#[derive(Debug)]
pub(crate) struct ControlCall {
    pub(crate) request: ControlRequest,
    /// Takes the reply.
    pub(crate) reply: oneshot::Sender<ControlReply>,
}

/// Receives the requests. Dropping this closes the socket.
#[derive(Debug)]
pub(crate) struct Control {
    calls: mpsc::Receiver<ControlCall>,
    accepting: JoinHandle<()>,
}

impl Control {
    /// Listens. The caller must hold the lock of the socket's folder.
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let listener = imp::Listener::bind(path)?;
        let (sender, calls) = mpsc::channel(8);
        let accepting = tokio::spawn(accept(listener, sender));
        Ok(Self { calls, accepting })
    }

    /// Waits for the next request.
    pub(crate) async fn next(&mut self) -> ControlCall {
        match self.calls.recv().await {
            Some(call) => call,
            // No further request can arrive.
            None => std::future::pending().await,
        }
    }

    /// Stops listening, and waits until the clients have read their replies,
    /// for at most [`PATIENCE`].
    pub(crate) async fn close(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        // Each connection holds a sender until it ends.
        let rest = async { while self.calls.recv().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, rest).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Sends a request to the running `locald up`, and returns its reply. Fails
/// with `TimedOut` if `locald up` is suspended.
pub(crate) async fn ask(path: &Path, request: &ControlRequest) -> io::Result<ControlReply> {
    let hearing = async {
        let mut stream = BufReader::new(imp::connect(path).await?.take(LONGEST));
        write_line(stream.get_mut().get_mut(), request).await?;
        let answer = read_line(&mut stream).await?;
        io::Result::Ok((stream, answer))
    };
    match tokio::time::timeout(HEARS, hearing).await?? {
        (mut stream, ControlReply::Heard) => read_line(&mut stream).await,
        (_, answer) => Ok(answer),
    }
}

async fn accept(mut listener: imp::Listener, calls: mpsc::Sender<ControlCall>) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                tokio::spawn(serve(stream, calls.clone()));
            }
            // The system may lack descriptors or memory for a while. Try again.
            Err(error) => {
                tracing::debug!(%error, "control");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, calls: mpsc::Sender<ControlCall>) {
    let mut stream = BufReader::new(stream.take(LONGEST));
    let Ok(request) = read_line(&mut stream).await else {
        return;
    };
    let mut stream = stream.into_inner().into_inner();
    let (reply, answer) = oneshot::channel();
    if write_line(&mut stream, &ControlReply::Heard).await.is_ok()
        && calls.send(ControlCall { request, reply }).await.is_ok()
        && let Ok(answer) = answer.await
    {
        // The client may have disconnected.
        let _ = write_line(&mut stream, &answer).await;
    }
}

async fn write_line(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}

async fn read_line<T: for<'de> Deserialize<'de>>(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<T> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[tokio::test]
    async fn who_asks_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let request = ControlRequest::Stop(vec!["web".to_owned()]);
        // A second `locald up` can listen at the same path.
        for _ in 0..2 {
            let mut control = Control::listen(&path).unwrap();
            let answering = async {
                let call = control.next().await;
                assert_eq!(call.request, request);
                let stopped = ControlReply::Stopped(vec!["web".to_owned()]);
                call.reply.send(stopped).unwrap();
            };
            let (answer, ()) = tokio::join!(ask(&path, &request), answering);
            assert_eq!(
                answer.unwrap(),
                ControlReply::Stopped(vec!["web".to_owned()])
            );
            control.close().await;
        }
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn one_that_is_suspended_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        // The kernel accepts connections for the suspended process.
        let _suspended = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = ask(&path, &ControlRequest::Stop(Vec::new()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
