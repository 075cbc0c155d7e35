//! The shell scripts that run on the remote machine. They use only programs
//! that every small Linux has.

use protocol::build_id::Architecture;

use crate::machine::agent_file::AgentFile;

/// The folder of agents, below the home directory.
const AGENTS: &str = "$HOME/.cache/locald/agents";
/// Removes all agents.
pub(super) const REMOVE: &str = "rm -rf \"$HOME/.cache/locald/agents\"";
/// The output of [`start`] before it executes the agent.
const READY: &str = "locald: ready";
/// The output of [`start`] if the agent is missing. The output of `uname`
/// follows.
const MISSING: &str = "locald: missing ";

/// The first line that [`start`] prints.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The agent runs, and the protocol starts.
    Ready,
    /// The agent is missing.
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
        // Limit the text, because it goes into a message.
        let system = system
            .chars()
            .filter(|c| !c.is_control())
            .take(80)
            .collect();
        Some(Self::Missing { system })
    }
}

/// Whether an agent runs on a system, as `uname` describes it.
pub(super) fn runs_on(agent: &AgentFile, system: &str) -> bool {
    patterns(agent.architecture)
        .split('|')
        .any(|it| it == system.replace(' ', "-"))
}

/// Returns shell patterns of `uname -s` and `uname -m` for an architecture.
const fn patterns(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "Linux-x86_64",
        Architecture::Aarch64 => "Linux-aarch64|Linux-arm64",
    }
}

/// Returns the name of a build as a directory's name.
fn directory(agent: &AgentFile) -> String {
    agent.build.replace('/', "-")
}

/// The agent's role on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentScope {
    /// An agent of this host only, with the rights of the ssh user.
    OwnAgent,
    /// The machine's own agent, as root.
    MachinesAgent,
}

impl AgentScope {
    fn command(self) -> &'static str {
        match self {
            Self::OwnAgent => "exec \"$a\" stdio",
            // lima's guests reach their host's loopback at this address.
            Self::MachinesAgent => {
                "exec sudo -n env LOCALD_LOOPBACK_OF_HOST=192.168.5.2 \"$a\" join"
            }
        }
    }
}

/// Returns a script that executes the matching agent, or reports that it is
/// missing.
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

/// Returns a script that stores its standard input as an agent, in one step,
/// after all `size` bytes have arrived. It also removes agents that were not
/// used for a month.
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

/// Quotes a script as one argument of `sh`, for any login shell.
pub(super) fn quote(script: &str) -> String {
    debug_assert!(!script.contains(['\'', '\n']));
    format!("exec sh -c '{script}'")
}

/// Quotes a word for a shell.
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

    /// Runs a script as sshd does.
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
