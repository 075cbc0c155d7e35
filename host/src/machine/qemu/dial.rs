//! Connects with the guest's agent.

use std::io;
use std::os::fd::AsRawFd as _;

use protocol::hello::Token;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::QemuError;
use super::folder::{MachineFolder, Transport};
use crate::connection::agent::AgentConnection;
use crate::machine::address::vsock;

/// The agent's vsock port.
const PORT: u32 = 1024;
/// The socket of `vhost-device-vsock`, in the folder of the run.
pub(super) const SOCKET: &str = "vm.vsock";
/// The maximum size of an answer in bytes: `OK` and a number.
const ANSWER: usize = 32;

/// Connects with the agent of a machine.
pub(super) async fn connect(folder: &MachineFolder) -> Result<AgentConnection, QemuError> {
    let token = Token(folder.token()?);
    let step = "connect to the machine";
    match folder.read("run/transport.json") {
        Some(Transport::Kernel(cid)) => {
            let stream = match vsock::connect(cid, PORT).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(QemuError::NoAgent);
                }
                connected => connected.map_err(QemuError::io(step))?,
            };
            Ok(AgentConnection::connect(stream, &token).await?)
        }
        Some(Transport::Hybrid) | None => {
            let stream = open(folder).await.map_err(QemuError::io(step))?;
            Ok(AgentConnection::connect(call(stream).await?, &token).await?)
        }
    }
}

/// Opens the socket. The length of a socket's path is limited, so the path
/// starts at the folder's descriptor in `/proc/self/fd`.
async fn open(folder: &MachineFolder) -> io::Result<UnixStream> {
    let run = fs_err::File::open(folder.run())?;
    let descriptor = run.file().as_raw_fd();
    UnixStream::connect(format!("/proc/self/fd/{descriptor}/{SOCKET}")).await
}

/// Connects to the agent's port. The protocol is Firecracker's: the host sends
/// `CONNECT port` in one write, and receives `OK number`. No bytes come before
/// that.
async fn call(mut stream: UnixStream) -> Result<UnixStream, QemuError> {
    let failed = |error: io::Error| QemuError::Dial(format!("broke: {error}"));
    let hello = format!("CONNECT {PORT}\n");
    // Read the answer even if the write fails: another program may have sent
    // something and closed. Its bytes explain more than the failed write.
    let written = stream.write_all(hello.as_bytes()).await;
    let mut answer = Vec::new();
    while answer.last() != Some(&b'\n') {
        if answer.len() == ANSWER {
            return Err(answered(&answer));
        }
        match stream.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && answer.is_empty() => {
                return Err(QemuError::NoAgent);
            }
            Err(error) => return Err(failed(written.err().unwrap_or(error))),
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
    QemuError::Dial(format!("belongs to another program: it answers {text:?}"))
}
