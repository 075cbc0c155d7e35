//! Finds the agent programs that were installed with locald. locald copies them
//! to machines.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use protocol::build_id::{self, Architecture};
use protocol::{Failure, FailureKind};

/// The environment variable with another folder of agents.
const VARIABLE: &str = "LOCALD_AGENTS";
/// How many bytes at the start of a program hold its headers and notes.
const START: u64 = 64 * 1024;

/// An agent's program file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentFile {
    pub(super) path: PathBuf,
    pub(super) build: String,
    pub(super) architecture: Architecture,
}

/// Why there is no agent to copy to a machine.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentFileError {
    /// The folder has no agent.
    #[error("no locald-agent is in {}", .0.display())]
    Missing(PathBuf),
    /// A file is not an agent.
    #[error("{} is not a locald-agent for Linux", .0.display())]
    NoAgent(PathBuf),
    /// A file cannot be read.
    #[error("an agent cannot be read")]
    Read(#[from] io::Error),
}

impl From<AgentFileError> for Failure {
    fn from(error: AgentFileError) -> Self {
        Self::from_error(FailureKind::Machine, &error).with_hint(
            "install locald-agent beside locald, or name the folder it is in by LOCALD_AGENTS",
        )
    }
}

/// Returns the agents of this locald: `locald-agent` and
/// `locald-agent-ARCHITECTURE` in its folder.
pub(super) fn all() -> Result<Vec<AgentFile>, AgentFileError> {
    let chosen = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty());
    let folder = chosen.map_or_else(own_folder, |folder| Ok(folder.into()))?;
    let names = [
        "locald-agent",
        "locald-agent-x86_64",
        "locald-agent-aarch64",
    ];
    let mut found: Vec<AgentFile> = Vec::new();
    for name in names {
        let path = folder.join(name);
        if path.is_file() {
            let file = read(&path)?;
            // A file with its architecture in its name takes precedence.
            found.retain(|other| other.architecture != file.architecture);
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(AgentFileError::Missing(folder));
    }
    Ok(found)
}

/// Returns the folder of this program.
fn own_folder() -> io::Result<PathBuf> {
    let program = fs_err::canonicalize(std::env::current_exe()?)?;
    Ok(program.parent().unwrap_or(Path::new("/")).to_owned())
}

fn read(path: &Path) -> Result<AgentFile, AgentFileError> {
    let mut start = Vec::new();
    fs_err::File::open(path)?
        .take(START)
        .read_to_end(&mut start)?;
    let identity = build_id::of_program(&start).zip(build_id::architecture(&start));
    let (build, architecture) = identity.ok_or_else(|| AgentFileError::NoAgent(path.to_owned()))?;
    Ok(AgentFile {
        path: path.to_owned(),
        build,
        architecture,
    })
}
