//! The shell scripts that run on the remote machine. They use only programs
//! that every small Linux has.

use protocol::build_id::Architecture;

use crate::machine::agent_file::AgentFile;

/// Below the home directory.
const AGENTS: &str = "$HOME/.cache/locald/agents";
/// Removes all agents.
pub(super) const REMOVE: &str = "rm -rf \"$HOME/.cache/locald/agents\"";
/// What [`start`] says when it is about to execute the agent.
const READY: &str = "locald: ready";
/// What it says when there is none, followed by what `uname` says.
const MISSING: &str = "locald: missing ";

/// The first words of [`start`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The agent speaks from now on.
    Ready,
    /// It is not there.
    Missing {
        /// `Linux x86_64`
        system: String,
    },
}

impl Greeting {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end_matches('\r');
        if line == READY {
            return Some(Self::Ready);
        }
        let system = line.strip_prefix(MISSING)?;
        // What goes into messages has an end.
        let system = system
            .chars()
            .filter(|c| !c.is_control())
            .take(80)
            .collect();
        Some(Self::Missing { system })
    }
}

/// Whether an agent is for such a system.
pub(super) fn runs_on(agent: &AgentFile, system: &str) -> bool {
    patterns(agent.architecture)
        .split('|')
        .any(|it| it == system.replace(' ', "-"))
}

/// What `uname -s` and `uname -m` say on the machines of an architecture.
const fn patterns(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "Linux-x86_64",
        Architecture::Aarch64 => "Linux-aarch64|Linux-arm64",
    }
}

/// A build's name as one of a directory.
fn directory(agent: &AgentFile) -> String {
    agent.build.replace('/', "-")
}

/// What the agent is to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentScope {
    /// One of this host, with the rights of who logs in.
    OwnAgent,
    /// The machine's, with all rights.
    MachinesAgent,
}

impl AgentScope {
    fn command(self) -> &'static str {
        match self {
            Self::OwnAgent => "exec \"$a\" stdio",
            // The address by which lima's guests reach their host's loopback.
            Self::MachinesAgent => {
                "exec sudo -n env LOCALD_LOOPBACK_OF_HOST=192.168.5.2 \"$a\" join"
            }
        }
    }
}

/// Executes the agent that fits the machine, or says that it is not there.
pub(super) fn start(agents: &[AgentFile], scope: AgentScope) -> String {
    let case = |agent: &AgentFile| {
        let patterns = patterns(agent.architecture);
        format!("{patterns}) b={};; ", directory(agent))
    };
    let cases: String = agents.iter().map(case).collect();
    let command = scope.command();
    format!(
        "b=; case \"$(uname -s)-$(uname -m)\" in {cases}esac; a=\"{AGENTS}/$b/locald-agent\"; \
         if [ -n \"$b\" ] && [ -x \"$a\" ]; then echo \"{READY}\"; {command}; fi; \
         echo \"{MISSING}$(uname -s) $(uname -m)\""
    )
}

/// Stores what comes on standard input as an agent: in one step, and only when
/// all of it has come. Agents that nobody has used for a month go.
pub(super) fn store(agent: &AgentFile, size: u64) -> String {
    let build = directory(agent);
    format!(
        "umask 077; d=\"{AGENTS}/{build}\"; mkdir -p \"$d\" || exit 1; \
         t=\"$d/.new.$$\"; trap \"rm -f \\\"$t\\\"\" EXIT; cat > \"$t\" || exit 1; \
         if [ \"$(wc -c < \"$t\")\" -ne {size} ]; then echo \"not all of it arrived\" >&2; exit 1; fi; \
         chmod 700 \"$t\" && mv -f \"$t\" \"$d/locald-agent\" || exit 1; \
         find \"{AGENTS}\" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {{}} + 2>/dev/null; true"
    )
}

/// A script as the one argument that any login shell hands to `sh`.
pub(super) fn quote(script: &str) -> String {
    debug_assert!(!script.contains(['\'', '\n']));
    format!("exec sh -c '{script}'")
}

/// A word that a shell takes as it is.
pub(super) fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write as _;
    use std::process::{Command, Output, Stdio};

    use super::*;

    fn agent() -> AgentFile {
        AgentFile {
            path: "agent".into(),
            build: "locald/1.0+ab".to_owned(),
            architecture: Architecture::own(),
        }
    }

    /// Runs a script as sshd would.
    fn run(script: &str, home: &std::path::Path, input: &[u8]) -> Output {
        let mut command = Command::new("sh");
        command.arg("-c").arg(quote(script)).env("HOME", home);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    #[test]
    fn an_agent_is_stored_whole_and_then_executed() {
        let home = tempfile::tempdir().unwrap();
        let program = b"#!/bin/sh\necho agent \"$@\"\n";
        let first = run(&start(&[agent()], AgentScope::OwnAgent), home.path(), b"");
        let said = String::from_utf8(first.stdout).unwrap();
        let Some(Greeting::Missing { system }) = Greeting::parse(said.trim_end()) else {
            unreachable!("{said}")
        };
        assert!(runs_on(&agent(), &system), "{system}");
        let size = program.len() as u64;
        let half = run(&store(&agent(), size), home.path(), &program[..9]);
        assert!(!half.status.success());
        let still = run(&start(&[agent()], AgentScope::OwnAgent), home.path(), b"");
        assert!(still.stdout.starts_with(MISSING.as_bytes()));
        let whole = run(&store(&agent(), size), home.path(), program);
        assert!(whole.status.success(), "{whole:?}");
        let started = run(&start(&[agent()], AgentScope::OwnAgent), home.path(), b"");
        assert_eq!(started.stdout, b"locald: ready\nagent stdio\n");
        let removed = run(REMOVE, home.path(), b"");
        assert!(removed.status.success());
        assert!(!home.path().join(".cache/locald/agents").exists());
    }

    #[test]
    fn noise_is_no_greeting() {
        assert_eq!(Greeting::parse("Welcome!"), None);
        assert_eq!(Greeting::parse("locald: ready\r"), Some(Greeting::Ready));
    }
}
