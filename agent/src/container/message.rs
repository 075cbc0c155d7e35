//! Defines the messages between the agent, the runner and the container's init.
//! They travel over sequenced-packet sockets, which preserve message boundaries
//! and carry descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::spec::{Mount, Network, Upper, User};
use crate::kernel::namespace::Privilege;
use crate::kernel::namespace::cgroup::Limits;

/// The most bytes of a message. Larger content travels in a memory file.
const MAX_MESSAGE: usize = 32 * 1024;
/// The most descriptors of a message.
const MAX_DESCRIPTORS: usize = 6;

/// The configuration, from the agent to the runner. It travels in a memory
/// file, the first descriptor of the first message. The descriptors of the
/// pipes and of the network follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunnerConfig {
    /// Id of the container, unique on this machine.
    pub(super) id: String,
    /// The agent's process id.
    pub(super) agent: i32,
    /// The privilege of the agent. Ids and mounts depend on it.
    pub(super) privilege: Privilege,
    /// An empty directory, over which the runner mounts its own files.
    pub(super) scratch: PathBuf,
    /// See [`ContainerSpec`](super::ContainerSpec).
    pub(super) lowers: Vec<PathBuf>,
    /// See [`ContainerSpec`](super::ContainerSpec).
    pub(super) upper: Upper,
    /// See [`ContainerSpec`](super::ContainerSpec).
    pub(super) directories: Vec<PathBuf>,
    /// See [`ContainerSpec`](super::ContainerSpec).
    pub(super) mounts: Vec<Mount>,
    /// Files that the agent provides.
    pub(super) files: Vec<ProvidedFile>,
    /// The container's host name.
    pub(super) hostname: String,
    /// The network. The descriptor of a namespace is the last one.
    pub(super) network: Network<()>,
    /// The most processes and threads.
    pub(super) processes: u64,
    /// The limits of the agent's cgroups.
    pub(super) limits: Limits,
    /// The payload.
    pub(super) program: PayloadProgram,
    /// The size of the terminal; absent with pipes.
    pub(super) terminal: Option<TerminalSize>,
}

/// A small read-only file of the container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ProvidedFile {
    /// Name of the file that backs it.
    pub(super) name: String,
    /// Path in the container.
    pub(super) target: PathBuf,
    /// The text of the file.
    pub(super) content: String,
}

/// The program that the container's init starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PayloadProgram {
    /// Program and arguments; at least one.
    pub(super) args: Vec<String>,
    /// The whole environment.
    pub(super) env: Vec<(String, String)>,
    /// Absolute path in the container.
    pub(super) cwd: PathBuf,
    /// The user of the program.
    pub(super) user: User,
}

/// Permits the payload to run. The agent sends it to the runner after the
/// configuration. The runner sends it to the payload, which has finished all
/// other steps.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Start;

/// The size of a terminal, in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TerminalSize {
    /// Height.
    pub(crate) rows: u16,
    /// Width.
    pub(crate) columns: u16,
}

/// From the runner to the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Report {
    /// The payload runs. Descriptors: the init's process, then the terminal's
    /// master if there is a terminal.
    Started,
    /// The payload could not start.
    Failed(SetupError),
    /// The payload has ended.
    Ended {
        /// Its exit code, or 128 + signal.
        code: u8,
    },
}

/// From the container's init to the runner. If the stream ends without an
/// error, the payload runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum InitMessage {
    /// The descriptor of the message is the terminal's master.
    Terminal,
    /// The payload could not start.
    Failed(SetupError),
}

/// Why the payload could not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SetupError {
    /// A step failed.
    Step {
        /// The messages of the errors, outermost first. Never empty.
        chain: Vec<String>,
    },
    /// One of the container's own mount points is not a directory in the image.
    ReservedPath {
        /// The path in the container.
        path: PathBuf,
    },
    /// The program's user cannot enter the working directory.
    WorkingDirectory {
        /// The system's error number.
        errno: i32,
    },
    /// The kernel cannot execute the program.
    Program {
        /// The system's error number.
        errno: i32,
    },
    /// The kernel cannot execute the interpreter of the program.
    Interpreter {
        /// Path in the container.
        interpreter: String,
        /// The system's error number.
        errno: i32,
    },
}

/// Both ends of a socket for messages.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends a message with descriptors.
pub(super) fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MAX_MESSAGE {
        return Err(io::Error::other("a message to the runner is too long"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("a message has too many descriptors"));
    }
    let parts = [IoSlice::new(&bytes)];
    retry(|| sendmsg(&socket, &parts, &mut ancillary, SendFlags::NOSIGNAL)).map(drop)
}

/// Receives a message and its descriptors; absent at the end of the stream.
pub(super) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    // If the peer has ended before it read all messages, the kernel reports a
    // reset once. The peer's own messages follow.
    let mut reset = false;
    let received = retry(|| {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(&socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::CONNRESET) if !reset => {
                reset = true;
                Err(rustix::io::Errno::INTR)
            }
            received => received,
        }
    })?;
    let mut descriptors = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(io::Error::other("a message was cut off"));
    }
    let message = serde_json::from_slice(bytes.get(..received.bytes).unwrap_or_default())?;
    Ok(Some((message, descriptors)))
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

impl SetupError {
    /// The most bytes of each message in a chain.
    const MAX_TEXT: usize = 2048;
    /// The most messages in a chain.
    const MAX_CHAIN: usize = 8;

    /// A failed step with its causes.
    pub(super) fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = std::iter::successors(Some(error), |error| error.source());
        Self::from_chain(chain.map(ToString::to_string))
    }

    /// A failed step with these messages.
    pub(super) fn from_chain(chain: impl IntoIterator<Item = String>) -> Self {
        let cut = |text: String| text.chars().take(Self::MAX_TEXT).collect();
        let chain = chain.into_iter().take(Self::MAX_CHAIN).map(cut).collect();
        Self::Step { chain }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::{InitMessage, Report, SetupError, Start, pair, receive, send};
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn messages_stay_apart_and_bring_descriptors() {
        let (ours, theirs) = pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        send(&ours, &Report::Ended { code: 3 }, &[reader.as_fd()]).unwrap();
        send(&ours, &Report::Started, &[]).unwrap();
        drop((ours, reader));

        let (first, mut descriptors) = receive::<Report>(&theirs).unwrap().unwrap();
        assert!(matches!(first, Report::Ended { code: 3 }));
        let (second, none) = receive::<Report>(&theirs).unwrap().unwrap();
        assert!(matches!(second, Report::Started));
        assert!(none.is_empty());
        assert!(receive::<Report>(&theirs).unwrap().is_none());

        drop(writer);
        let mut received = std::io::PipeReader::from(descriptors.remove(0));
        assert_eq!(received.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn last_words_are_heard_of_who_did_not_listen() {
        let (ours, theirs) = pair().unwrap();
        send(&ours, &Start, &[]).unwrap();
        send(&theirs, &Report::Ended { code: 3 }, &[]).unwrap();
        drop(theirs);
        let (heard, _) = receive::<Report>(&ours).unwrap().unwrap();
        assert!(matches!(heard, Report::Ended { code: 3 }));
        assert!(receive::<Report>(&ours).unwrap().is_none());
    }

    #[test]
    fn a_long_chain_still_fits() {
        let (ours, theirs) = pair().unwrap();
        let error = SetupError::from_chain(std::iter::repeat_n("x".repeat(9000), 100));
        send(&ours, &InitMessage::Failed(error.clone()), &[]).unwrap();
        let (init_socket, _) = receive::<InitMessage>(&theirs).unwrap().unwrap();
        assert!(matches!(init_socket, InitMessage::Failed(found) if found == error));
    }
}
