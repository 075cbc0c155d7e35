//! What this system lacks for machines behind ssh.

use protocol::event::{Check, Verdict};

use crate::machine::agent_file::{self, AgentFile};

pub(in crate::machine) fn checks() -> Vec<Check> {
    let ssh = which::which("ssh");
    let agents = agent_file::all();
    let check = |name: &str, found: Result<String, String>, remedy: &str| Check {
        name: name.to_owned(),
        verdict: if found.is_ok() {
            Verdict::Good
        } else {
            Verdict::Bad
        },
        remedy: found.is_err().then(|| remedy.to_owned()),
        detail: found.unwrap_or_else(|reason| reason),
    };
    let builds = |files: Vec<AgentFile>| {
        let names = files.iter().map(|file| file.architecture.name());
        format!("for {}", names.collect::<Vec<_>>().join(", "))
    };
    vec![
        check(
            "ssh",
            ssh.map(|path| path.display().to_string())
                .map_err(|error| error.to_string()),
            "install the OpenSSH client",
        ),
        check(
            "agents to bring along",
            agents.map(builds).map_err(|error| error.to_string()),
            "install locald-agent beside locald",
        ),
    ]
}
