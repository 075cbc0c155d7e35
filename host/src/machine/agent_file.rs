//! Finds the agent programs that were installed with locald. locald copies them
//! to machines.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use protocol::build_id::{self, Architecture};
use protocol::{Failure, FailureKind};

/// The variable that names another folder to find agents in.
const VARIABLE: &str = "LOCALD_AGENTS";
/// Bytes of a program that hold its headers and notes.
const START: u64 = 64 * 1024;

/// The program of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentFile {
    pub(super) path: PathBuf,
    pub(super) build: String,
    pub(super) architecture: Architecture,
}

/// There is no agent to be brought to a machine.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentFileError {
    /// Not one is beside this program.
    #[error("no locald-agent is in {}", .0.display())]
    Missing(PathBuf),
    /// A file is no agent.
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

/// All agents that come with this locald: `locald-agent` and
/// `locald-agent-ARCHITECTURE` beside it.
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
            // The one that is named after its architecture counts.
            found.retain(|other| other.architecture != file.architecture);
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(AgentFileError::Missing(folder));
    }
    Ok(found)
}

/// The folder that this program is in.
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
