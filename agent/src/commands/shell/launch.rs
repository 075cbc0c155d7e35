//! Computes the environment that the launcher gives the processes of an image:
//! CNB platform specification, "Launch".
//!
//! The launcher runs in a container with the image's own application directory
//! and layers, as the build left them. Programs of buildpacks that set
//! variables (`exec.d`) may read files there that the project's folder lacks.

use std::path::{Path, PathBuf};

use protocol::request::Stdio;
use protocol::{Failure, FailureKind};
use tokio::io::AsyncReadExt as _;

use crate::Agent;
use crate::buildpack_build::BuildRecord;
use crate::buildpack_build::lifecycle::metadata::run_image_layers;
use crate::buildpack_build::lifecycle::{LAUNCHER, WORKSPACE};
use crate::container::{Container, ContainerOutput, ContainerSpec, Network, Upper, User};
use crate::process::environment::Environment;
use crate::store::Image;

/// Separates the output of `exec.d` programs from the variables.
const MARK: &str = "\0locald: environment\0";
/// Variables of the shell that prints the environment, not of the launcher.
const OF_SHELL: [&str; 4] = ["_", "OLDPWD", "PWD", "SHLVL"];
/// The most bytes of an environment.
const CAP: u64 = 4 * 1024 * 1024;

/// The inputs of the launcher.
pub(super) struct Launch<'a> {
    pub(super) agent: &'a Agent,
    pub(super) record: &'a BuildRecord,
    pub(super) builder: &'a Image,
    pub(super) app: &'a Image,
    /// A directory for the state of the container.
    pub(super) state: &'a Path,
}

impl Launch<'_> {
    /// Runs the launcher with an environment, and returns the resulting one.
    pub(super) async fn environment(&self, given: Environment) -> Result<Environment, Failure> {
        let spec = self.spec(given)?;
        let mut container = Container::start(spec, self.state).await?;
        drop(container.stdin());
        let (said, errors) = (container.stdout(), container.stderr());
        let (said, errors) = tokio::join!(read(said), read(errors));
        match (container.wait().await?.0, parse(&said)) {
            (0, Some(environment)) => Ok(environment),
            (code, _) => Err(failed(code, &[said, errors].concat())),
        }
    }

    fn spec(&self, given: Environment) -> Result<ContainerSpec, Failure> {
        let store = &self.agent.store;
        let own = self.app.config.diff_ids().iter();
        let own = own.skip(run_image_layers(self.app));
        let own = own.filter(|diff_id| store.has_layer(diff_id));
        let layers = self.builder.config.diff_ids().iter().chain(own);
        let ask = format!("printf '{}'; exec env -0", MARK.replace('\0', "\\0"));
        let args = [LAUNCHER, "--", "/bin/sh", "-c", &ask];
        Ok(ContainerSpec {
            lowers: store.stack(layers, &self.directory("launch")?)?,
            upper: Upper::Directory {
                upper: self.directory("launch-root")?,
                work: self.directory("launch-work")?,
            },
            directories: Vec::new(),
            mounts: Vec::new(),
            args: args.map(str::to_owned).to_vec(),
            env: given.into_pairs(),
            cwd: WORKSPACE.into(),
            user: User {
                uid: self.record.uid,
                gid: self.record.gid,
                groups: Vec::new(),
            },
            hostname: super::HOSTNAME.to_owned(),
            network: Network::Host,
            stdio: Stdio::Pipes,
            extra_hosts: Vec::new(),
        })
    }

    fn directory(&self, name: &str) -> Result<PathBuf, Failure> {
        super::directory(self.state, name)
    }
}

async fn read(output: Option<ContainerOutput>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(output) = output {
        // After an error, the output so far suffices for the message.
        let _ = output.take(CAP).read_to_end(&mut bytes).await;
    }
    bytes
}

/// Parses the output. Other programs may have written anything before the mark.
fn parse(said: &[u8]) -> Option<Environment> {
    let mark = MARK.as_bytes();
    let place = said
        .windows(mark.len())
        .rposition(|window| window == mark)?;
    let variables = said.get(place + mark.len()..)?.split(|byte| *byte == 0);
    let pairs = variables.filter_map(|variable| {
        let variable = String::from_utf8_lossy(variable).into_owned();
        let (name, value) = variable.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let pairs = pairs.filter(|(name, _)| !OF_SHELL.contains(&&**name));
    Some(Environment::from(pairs.collect::<Vec<_>>()))
}

fn failed(code: u8, said: &[u8]) -> Failure {
    let message = format!("the launcher ended with {code} before the shell could begin");
    let mut failure = Failure::new(FailureKind::Lifecycle { code }, message);
    let said = String::from_utf8_lossy(said);
    failure.causes = said.lines().map(str::to_owned).collect();
    failure.with_hint("a buildpack's own program for the start (exec.d) may have failed")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_programs_say_before_is_no_variable() {
        let said = format!("A=1\0noise\n{MARK}B=two\nlines\0PATH=/a:/b\0SHLVL=1\0E=\0");
        let environment = parse(said.as_bytes()).unwrap();
        assert_eq!(environment.get("A"), None);
        assert_eq!(environment.get("B"), Some("two\nlines"));
        assert_eq!(environment.get("PATH"), Some("/a:/b"));
        assert_eq!(environment.get("E"), Some(""));
        assert_eq!(environment.get("SHLVL"), None);
        assert!(parse(b"A=1\0").is_none());
    }
}
