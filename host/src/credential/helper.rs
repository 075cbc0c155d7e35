//! Runs a docker credential helper: it writes the server's name to standard
//! input, and reads a JSON object from standard output.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Account, Secret};

/// The time limit of a helper. Some ask the user first.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The maximum size of an answer, in bytes.
const ANSWER_CAP: u64 = 64 * 1024;

/// The output of a helper that has no account. Its exit code is not 0 then.
const NOT_FOUND: [&str; 2] = ["credentials not found", "no credentials server URL"];

/// Why a helper gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum HelperError {
    #[error("credential helper {program:?} is not a valid program name")]
    Name { program: String },
    #[error("credential helper {program} is not on the PATH")]
    NotInstalled { program: String },
    #[error("credential helper {program} cannot be run: {reason}")]
    Unusable { program: String, reason: String },
    #[error("credential helper {program} failed: {said}")]
    Failed { program: String, said: String },
    #[error("credential helper {program} did not answer with an account")]
    Nonsense { program: String },
    #[error("credential helper {program} did not answer in time")]
    Silent { program: String },
}

/// A helper's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HelperAnswer {
    /// It has an account.
    Found { username: String, secret: Secret },
    /// It has no account.
    Unknown,
}

impl HelperAnswer {
    pub(crate) fn into_account(self) -> Option<Account> {
        match self {
            Self::Found { username, secret } => Some(Account::new(username, secret)),
            Self::Unknown => None,
        }
    }
}

/// The JSON object that a helper prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    username: String,
    secret: Secret,
}

/// Runs `docker-credential-NAME get` for a server. Blocks the thread.
pub(crate) fn ask(name: &str, server: &str) -> Result<HelperAnswer, HelperError> {
    let program = format!("docker-credential-{name}");
    if name.is_empty() || name.contains(['/', '\\', '\0']) {
        return Err(HelperError::Name { program });
    }
    let (success, stdout, stderr) = run(&program, server)?;
    if success {
        return read(program, &stdout);
    }
    let said = [stdout.as_slice(), stderr.as_slice()].map(String::from_utf8_lossy);
    if said
        .iter()
        .any(|text| NOT_FOUND.iter().any(|words| text.contains(words)))
    {
        return Ok(HelperAnswer::Unknown);
    }
    let said = said
        .iter()
        .map(|text| text.trim())
        .find(|text| !text.is_empty());
    let said = said.unwrap_or("it said nothing").to_owned();
    Err(HelperError::Failed { program, said })
}

fn read(program: String, stdout: &[u8]) -> Result<HelperAnswer, HelperError> {
    let Ok(output) = serde_json::from_slice::<Output>(stdout) else {
        return Err(HelperError::Nonsense { program });
    };
    Ok(HelperAnswer::Found {
        username: output.username,
        secret: output.secret,
    })
}

fn run(program: &str, server: &str) -> Result<(bool, Vec<u8>, Vec<u8>), HelperError> {
    let unusable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => HelperError::NotInstalled {
            program: program.to_owned(),
        },
        _ => HelperError::Unusable {
            program: program.to_owned(),
            reason: error.to_string(),
        },
    };
    let deadline = Instant::now() + PATIENCE;
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(unusable)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may close its standard input without reading it.
        let _ = stdin.write_all(server.as_bytes());
    }
    let stdout = child.stdout.take().map(read_aside);
    let stderr = child.stderr.take().map(read_aside);
    let mut said = Vec::new();
    for pipe in [stdout, stderr].into_iter().flatten() {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(bytes) = pipe.recv_timeout(left) else {
            let _ = child.kill();
            let _ = child.wait();
            let program = program.to_owned();
            return Err(HelperError::Silent { program });
        };
        said.push(bytes.map_err(unusable)?);
    }
    let stderr = said.pop().unwrap_or_default();
    let stdout = said.pop().unwrap_or_default();
    let status = child.wait().map_err(unusable)?;
    Ok((status.success(), stdout, stderr))
}

/// Reads a pipe in a thread. The thread may outlive the helper: a child of the
/// helper may hold the pipe open.
fn read_aside(pipe: impl io::Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(ANSWER_CAP).read_to_end(&mut bytes);
        let _ = tell.send(read.map(|_| bytes));
    });
    told
}
