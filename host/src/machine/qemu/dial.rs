//! Connects with the guest's agent.

use std::io;
use std::os::fd::AsRawFd as _;

use protocol::hello::Token;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::QemuError;
use super::folder::{Folder, Transport};
use crate::agent::Agent;
use crate::machine::address::vsock;

/// The port that the agent listens on.
const PORT: u32 = 1024;
/// The socket of `vhost-device-vsock`, in the folder of the run.
pub(super) const SOCKET: &str = "vm.vsock";
/// The most bytes of an answer: `OK` and a number.
const ANSWER: usize = 32;

/// Reaches the agent of a machine that listens.
pub(super) async fn connect(folder: &Folder) -> Result<Agent, QemuError> {
    let token = Token(folder.token()?);
    let step = "connect to the machine";
    match folder.read("run/transport.json") {
        Some(Transport::Kernel(cid)) => {
            let stream = vsock::connect(cid, PORT).await;
            let stream = stream.map_err(QemuError::io(step))?;
            Ok(Agent::connect(stream, &token).await?)
        }
        Some(Transport::Hybrid) | None => {
            let stream = open(folder).await.map_err(QemuError::io(step))?;
            Ok(Agent::connect(call(stream).await?, &token).await?)
        }
    }
}

/// The path of a socket has little room: it is opened below the folder's
/// descriptor.
async fn open(folder: &Folder) -> io::Result<UnixStream> {
    let run = fs_err::File::open(folder.run())?;
    let descriptor = run.file().as_raw_fd();
    UnixStream::connect(format!("/proc/self/fd/{descriptor}/{SOCKET}")).await
}

/// Firecracker's dialect of vsock over a unix socket: `CONNECT port`, one
/// write, then `OK number`, and nothing before that.
async fn call(mut stream: UnixStream) -> Result<UnixStream, QemuError> {
    let failed = |error: io::Error| QemuError::Dial(format!("broke: {error}"));
    let hello = format!("CONNECT {PORT}\n");
    stream.write_all(hello.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    while answer.last() != Some(&b'\n') {
        if answer.len() == ANSWER {
            return Err(answered(&answer));
        }
        match stream.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && answer.is_empty() => {
                return Err(QemuError::Dial("has no agent behind it".to_owned()));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    if answer.starts_with(b"OK ") {
        Ok(stream)
    } else {
        Err(answered(&answer))
    }
}

fn answered(bytes: &[u8]) -> QemuError {
    let text = String::from_utf8_lossy(bytes);
    QemuError::Dial(format!("is somebody else's: it answers {text:?}"))
}
