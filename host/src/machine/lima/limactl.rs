//! Runs `limactl` in a separate `LIMA_HOME`. It never touches the user's other
//! instances and settings.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::error::LimaError;

/// The name of the only instance.
pub(super) const INSTANCE: &str = "locald";
/// The time limit for questions to limactl.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit for a stop, also of a guest that does not react.
const STOP: Duration = Duration::from_mins(3);
/// The longest path of a socket below `LIMA_HOME`, with the suffixes that lima
/// and ssh append. A socket's path may have 104 bytes on macOS.
const SOCKET: usize = "/locald/ssh.sock.1234567890123456".len();
const SOCKET_LIMIT: usize = if cfg!(target_os = "macos") { 104 } else { 108 };

/// An installed `limactl`.
#[derive(Debug)]
pub(super) struct Limactl {
    program: PathBuf,
    /// Its version, as it prints it.
    pub(super) version: String,
    home: PathBuf,
    environment: Vec<(&'static str, String)>,
}

/// An instance, as `limactl list --json` prints it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    /// Running, Stopped, Broken or Installing. Empty if lima does not know it.
    #[serde(default)]
    pub(super) status: String,
    /// Why the instance is broken.
    #[serde(default)]
    pub(super) errors: Vec<String>,
    #[serde(default)]
    pub(super) cpus: u32,
    /// In bytes.
    #[serde(default)]
    pub(super) memory: u64,
    /// In bytes.
    #[serde(default)]
    pub(super) disk: u64,
}

impl Limactl {
    /// Finds limactl, and checks its version and the length of its home's path.
    pub(super) async fn find(home: &Path) -> Result<Self, LimaError> {
        let program = which::which("limactl").map_err(|_| LimaError::Missing)?;
        let length = home.as_os_str().len() + SOCKET;
        if length >= SOCKET_LIMIT {
            return Err(LimaError::LongHome {
                home: home.to_owned(),
                most: SOCKET_LIMIT - 1 - SOCKET,
            });
        }
        let mut found = Self {
            program,
            version: String::new(),
            home: home.to_owned(),
            environment: Vec::new(),
        };
        let said = found.ask(["--version"]).await?;
        let version = said.split_whitespace().last().unwrap_or_default();
        if !is_new_enough(version) {
            return Err(LimaError::TooOld {
                version: version.to_owned(),
            });
        }
        version.clone_into(&mut found.version);
        Ok(found)
    }

    /// Makes QEMU emulate the processor. lima itself uses KVM whenever
    /// `/dev/kvm` exists, also if QEMU cannot start with it.
    pub(super) fn without_kvm(mut self) -> Self {
        const QEMU: &str = "QEMU_SYSTEM_X86_64";
        if std::env::var_os(QEMU).is_none() && cfg!(target_arch = "x86_64") {
            let emulated = "qemu-system-x86_64 -machine q35,vmport=off -accel tcg,thread=multi,tb-size=512 -cpu qemu64";
            self.environment.push((QEMU, emulated.to_owned()));
        }
        self
    }

    /// Whether QEMU may use KVM.
    pub(super) fn may_use_kvm(&self) -> bool {
        cfg!(target_os = "linux") && self.environment.is_empty()
    }

    /// Returns the instance. Returns `None` if it does not exist.
    pub(super) async fn instance(&self) -> Result<Option<Instance>, LimaError> {
        if !self.home.join(INSTANCE).exists() {
            return Ok(None);
        }
        let said = self.ask(["list", "--json"]).await?;
        let lines = said.lines().filter(|line| !line.trim().is_empty());
        for line in lines {
            #[derive(Deserialize)]
            struct Named {
                name: String,
            }
            let malformed = |source| LimaError::Malformed { source };
            let Named { name } = serde_json::from_str(line).map_err(malformed)?;
            if name == INSTANCE {
                return serde_json::from_str(line).map(Some).map_err(malformed);
            }
        }
        Ok(None)
    }

    /// Returns a command that starts the instance, or makes it from a template.
    /// It reports progress on standard error, as JSON lines.
    pub(super) fn start(&self, template: Option<&Path>, limit: Duration) -> Command {
        let mut command = self.command();
        command.args(["--log-format", "json", "start"]);
        command
            .arg("--timeout")
            .arg(format!("{}s", limit.as_secs()));
        match template {
            Some(template) => command.args(["--name", INSTANCE]).arg(template),
            None => command.arg(INSTANCE),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Shuts the guest down, and waits for that.
    pub(super) async fn stop(&self) -> Result<(), LimaError> {
        self.run(["stop", INSTANCE], STOP).await.map(drop)
    }

    /// Kills the instance, and removes the leftovers of a crash.
    pub(super) async fn stop_at_once(&self) -> Result<(), LimaError> {
        self.run(["stop", "-f", INSTANCE], STOP).await.map(drop)
    }

    /// Removes the instance and its disk.
    pub(super) async fn delete(&self) -> Result<(), LimaError> {
        self.run(["delete", "-f", INSTANCE], STOP).await.map(drop)
    }

    /// Resizes a stopped instance. Memory and disk are in bytes.
    pub(super) async fn edit(&self, cpus: u32, memory: u64, disk: u64) -> Result<(), LimaError> {
        let gibibytes = |bytes: u64| format!("{}", exact(bytes) / exact(1 << 30));
        let (cpus, memory, disk) = (cpus.to_string(), gibibytes(memory), gibibytes(disk));
        let arguments = [
            "edit", "--cpus", &cpus, "--memory", &memory, "--disk", &disk, INSTANCE,
        ];
        self.run(arguments, STATUS_TIMEOUT).await.map(drop)
    }

    async fn ask<const N: usize>(&self, arguments: [&str; N]) -> Result<String, LimaError> {
        self.run(arguments, STATUS_TIMEOUT).await
    }

    async fn run<const N: usize>(
        &self,
        arguments: [&str; N],
        limit: Duration,
    ) -> Result<String, LimaError> {
        let mut command = self.command();
        command
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(limit, command.output()).await;
        let what = arguments.first().copied().unwrap_or_default();
        let output = output.map_err(|_| LimaError::NoAnswer {
            command: what.to_owned(),
            limit,
        })?;
        let output = output.map_err(LimaError::Program)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(LimaError::Failed {
            command: what.to_owned(),
            reason: reason(&String::from_utf8_lossy(&output.stderr)),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--tty=false").env("LIMA_HOME", &self.home);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }

    /// Returns the path of limactl.
    pub(super) fn program(&self) -> &OsStr {
        self.program.as_os_str()
    }
}

/// A double represents these sizes exactly.
#[expect(clippy::cast_precision_loss, reason = "see above")]
const fn exact(bytes: u64) -> f64 {
    bytes as f64
}

fn is_new_enough(version: &str) -> bool {
    let version = version.trim_start_matches('v');
    // Like lima itself, accept a lima that was built without a version.
    version == "<unknown>"
        || version
            .split('.')
            .next()
            .is_some_and(|major| major.parse::<u32>().is_ok_and(|major| major >= 2))
}

/// Returns the reason for a failure of limactl: its last message.
pub(super) fn reason(said: &str) -> String {
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    last.map_or_else(String::new, message)
}

/// Returns the message in a line of a log: `time=… level=fatal msg="…"`, or
/// JSON.
pub(super) fn message(line: &str) -> String {
    #[derive(Deserialize)]
    struct Line {
        msg: String,
    }
    if let Ok(Line { msg }) = serde_json::from_str(line) {
        return msg;
    }
    let quoted = line
        .split_once("msg=\"")
        .and_then(|(_, rest)| rest.rsplit_once('"'));
    quoted.map_or_else(
        || line.trim().to_owned(),
        |(text, _)| text.replace("\\\"", "\""),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn old_versions_are_refused() {
        for version in ["2.0.0", "2.2.0", "v3.1.0-rc.1", "<unknown>"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["1.2.1", "0.23.2", "", "x"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }

    #[test]
    fn messages_are_found_in_both_formats() {
        let text = r#"time="2026-01-01T00:00:00Z" level=fatal msg="limactl must not run as the \"root\" user""#;
        assert_eq!(message(text), "limactl must not run as the \"root\" user");
        let json = r#"{"level":"info","msg":"READY. Run `x`","time":"t"}"#;
        assert_eq!(message(json), "READY. Run `x`");
        assert_eq!(reason("first\n\nlast\n"), "last");
    }

    #[test]
    fn an_instance_is_what_list_says() {
        let line = r#"{"name":"locald","hostname":"lima-locald","status":"Broken","dir":"/l/locald","vmType":"qemu","arch":"x86_64","cpus":2,"memory":2147483648,"disk":8589934592,"sshLocalPort":0,"sshConfigFile":"/l/locald/ssh.config","hostAgentPID":5,"errors":["host agent is running but driver is not"],"limaVersion":"2.2.0"}"#;
        let instance: Instance = serde_json::from_str(line).unwrap();
        assert_eq!((instance.status.as_str(), instance.cpus), ("Broken", 2));
        assert_eq!(instance.errors.len(), 1);
    }
}
