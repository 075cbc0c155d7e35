//! Connects standard input and output with the machine's one agent, which it
//! starts if none runs: serves `locald-agent join`. Each host that connects by
//! ssh starts such a process. All of them use the same agent, so it knows every
//! active request.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// The folder of the sockets and the log. Only root may enter it.
const FOLDER: &str = "/run/locald";
/// Seconds without a host after which the agent ends.
const IDLE: &str = "3600";

/// This process cannot reach the machine's agent.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A file operation failed.
    #[error("cannot {action}")]
    Io {
        /// A verb and its object.
        action: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The agent ended during its start.
    #[error("the machine's agent has not started: {log}")]
    NotStarted {
        /// The output of the agent.
        log: String,
    },
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> JoinError {
    move |source| JoinError::Io { action, source }
}

/// Connects standard input and output with the machine's agent of this build.
/// Starts it if it does not run. Agents of other builds finish their requests,
/// and end.
pub async fn join() -> Result<(), JoinError> {
    let socket = socket()?;
    let agent = match UnixStream::connect(&socket).await {
        Ok(agent) => agent,
        Err(_) => start(&socket).await?,
    };
    carry(tokio::io::stdin(), tokio::io::stdout(), agent).await;
    Ok(())
}

/// Copies bytes in both directions until the agent closes the connection. The
/// agent also closes it after the host has closed its side. Then this function
/// does not wait for the host, because the host waits for this process.
async fn carry(
    mut from_host: impl AsyncRead + Unpin,
    mut to_host: impl AsyncWrite + Unpin,
    agent: impl AsyncRead + AsyncWrite,
) {
    let (mut from_agent, mut to_agent) = tokio::io::split(agent);
    let speak = async {
        // Either side may close without notice.
        let _ = tokio::io::copy(&mut from_host, &mut to_agent).await;
        let _ = to_agent.shutdown().await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = tokio::io::copy(&mut from_agent, &mut to_host) => {}
        () = speak => {}
    }
}

fn socket() -> Result<PathBuf, JoinError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut folder = std::fs::DirBuilder::new();
    let made = folder.recursive(true).mode(0o700).create(FOLDER);
    made.map_err(failed("make /run/locald"))?;
    let build = crate::build_id().replace('/', "-");
    Ok(Path::new(FOLDER).join(format!("{build}.sock")))
}

/// Starts the agent, unless another process starts it at the same time.
async fn start(socket: &Path) -> Result<UnixStream, JoinError> {
    let _lock = lock(&socket.with_extension("lock")).await?;
    if let Ok(agent) = UnixStream::connect(socket).await {
        return Ok(agent);
    }
    let log_path = socket.with_extension("log");
    let log = fs_err::File::create(&log_path).map_err(failed("write the agent's log"))?;
    let program = std::env::current_exe().map_err(failed("find the agent's own program"))?;
    let mut command = Command::new(program);
    command.args(["serve", "--own-machine", "--idle", IDLE, "--unix"]);
    command.arg(socket).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(log.into_parts().0);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut command = tokio::process::Command::from(command);
    let mut child = command
        .spawn()
        .map_err(failed("start the machine's agent"))?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let read = stdout.read_line(&mut said).await;
        read.map_err(failed("hear from the machine's agent"))?;
    }
    if said.trim_end() != protocol::AGENT_LISTENS {
        let log = fs_err::read_to_string(&log_path).unwrap_or_default();
        let log = log.trim().to_owned();
        return Err(JoinError::NotStarted { log });
    }
    let connected = UnixStream::connect(socket).await;
    connected.map_err(failed("connect to the machine's agent"))
}

async fn lock(path: &Path) -> Result<std::fs::File, JoinError> {
    let path = path.to_owned();
    let locking = tokio::task::spawn_blocking(move || -> io::Result<std::fs::File> {
        let file = fs_err::File::create(&path)?.into_parts().0;
        file.lock().map(|()| file)
    });
    let locked = locking.await.unwrap_or_else(|error| Err(error.into()));
    locked.map_err(failed("lock the start of the machine's agent"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_the_agent_said_last_arrives_and_its_end_is_the_end() {
        let (host, theirs) = tokio::io::duplex(64);
        let (agent, ours) = tokio::io::duplex(64);
        let (from_host, to_host) = tokio::io::split(theirs);
        let carried = tokio::spawn(carry(from_host, to_host, ours));
        let (mut from_agent, mut to_agent) = tokio::io::split(host);
        let (mut asked, mut answer) = tokio::io::split(agent);
        to_agent.write_all(b"stop").await.unwrap();
        let mut heard = [0; 4];
        asked.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"stop");
        answer.write_all(b"gone").await.unwrap();
        drop((asked, answer));
        // The host's side is still open.
        carried.await.unwrap();
        from_agent.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"gone");
    }

    #[tokio::test]
    async fn the_end_of_the_host_reaches_the_agent_which_may_still_speak() {
        let (host, theirs) = tokio::io::duplex(64);
        let (mut agent, ours) = tokio::io::duplex(64);
        let carried = tokio::spawn(carry(tokio::io::empty(), theirs, ours));
        let mut heard = Vec::new();
        agent.read_to_end(&mut heard).await.unwrap();
        agent.write_all(b"last").await.unwrap();
        drop(agent);
        carried.await.unwrap();
        let mut host = host;
        host.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last");
    }
}
