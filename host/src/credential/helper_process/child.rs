//! The child process: this program with a hidden first argument, and a socket
//! as standard input. Requests and answers are JSON, one object a line.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};

use super::HelperRequest;
use crate::credential::helper::PATIENCE;
use crate::credential::{self, HelperAnswer, HelperError};

/// The hidden first argument.
const WORD: &str = "__locald-outside";

/// How much longer than a helper's time limit the child may take to report it.
const DELAY: Duration = Duration::from_secs(10);

/// The maximum length of a line, in bytes. It has room for a quoted answer.
const LINE_CAP: u64 = 256 * 1024;

/// The parent's side.
#[derive(Debug)]
pub(super) struct Child {
    /// Absent after an error, because requests and answers may not match any
    /// more.
    stream: Mutex<Option<UnixStream>>,
    process: std::process::Child,
}

impl Child {
    pub(super) fn start() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(PATIENCE + DELAY))?;
        let process = Command::new("/proc/self/exe")
            .arg(WORD)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let stream = Mutex::new(Some(ours));
        Ok(Self { stream, process })
    }

    /// Sends a request, and blocks until the answer arrives or the time is
    /// over.
    pub(super) fn ask(&self, request: &HelperRequest) -> Result<HelperAnswer, HelperError> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let program = format!("docker-credential-{}", request.helper);
        let Some(open) = stream.as_mut() else {
            let reason = "the helper process has ended".to_owned();
            return Err(HelperError::Unusable { program, reason });
        };
        exchange(open, request).unwrap_or_else(|error| {
            *stream = None;
            Err(match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    HelperError::Silent { program }
                }
                _ => HelperError::Unusable {
                    program,
                    reason: error.to_string(),
                },
            })
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        *self
            .stream
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner) = None;
        // The child may wait for a helper that waits for the user.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn exchange(
    stream: &mut UnixStream,
    request: &HelperRequest,
) -> io::Result<Result<HelperAnswer, HelperError>> {
    write_line(stream, request)?;
    let mut line = Vec::new();
    BufReader::new(stream)
        .take(LINE_CAP)
        .read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

fn write_line(mut stream: &UnixStream, value: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Runs the child, if this process was started as the child, until the parent
/// ends. Returns whether it did.
///
/// Call it first in `main`.
pub(crate) fn dispatch() -> bool {
    if std::env::args_os().nth(1).is_none_or(|word| word != WORD) {
        return false;
    }
    // The child must not outlive a killed parent.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // Without an open socket, there is no parent to serve.
    if let Ok(socket) = rustix::io::dup(rustix::stdio::stdin()) {
        let _ = serve(&UnixStream::from(socket));
    }
    true
}

fn serve(stream: &UnixStream) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        let request: HelperRequest = serde_json::from_str(&line?)?;
        let answer = credential::ask(&request.helper, &request.server);
        write_line(stream, &answer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn request(helper: &str) -> HelperRequest {
        HelperRequest {
            helper: helper.to_owned(),
            server: "r.example".to_owned(),
        }
    }

    /// Runs both ends in this process, the child's end in a thread.
    fn child() -> (Child, std::thread::JoinHandle<io::Result<()>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || serve(&theirs));
        let process = Command::new("true").spawn().unwrap();
        let stream = Mutex::new(Some(ours));
        (Child { stream, process }, server)
    }

    #[test]
    fn answers_are_of_the_request_and_the_end_is_clean() {
        let (child, server) = child();
        for name in ["surely-not-installed", "../evil"] {
            let error = child.ask(&request(name)).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        drop(child);
        server.join().unwrap().unwrap();
    }

    #[test]
    fn a_child_that_is_gone_is_an_error_each_time() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let process = Command::new("true").spawn().unwrap();
        let stream = Mutex::new(Some(ours));
        let child = Child { stream, process };
        for _ in 0..2 {
            let error = child.ask(&request("x")).unwrap_err();
            assert!(matches!(error, HelperError::Unusable { .. }), "{error}");
        }
    }
}
