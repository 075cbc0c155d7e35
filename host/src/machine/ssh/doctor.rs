//! Checks what this system lacks for machines behind ssh.

use protocol::event::Check;

use crate::machine::agent_file::{self, AgentFile};

pub(in crate::machine) fn checks() -> Vec<Check> {
    let ssh = which::which("ssh");
    let agents = agent_file::all();
    let check = |name: &str, found: Result<String, String>, remedy: &str| match found {
        Ok(detail) => Check::good(name, detail),
        Err(reason) => Check::bad(name, reason, Some(remedy.to_owned())),
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
