//! Runs locald as a user does.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;

use crate::{DEADLINE, setting, shared_home};

/// A command line of locald.
#[derive(Debug)]
pub struct Locald {
    command: Command,
    input: Option<String>,
}

/// What a command did.
#[derive(Debug)]
pub struct Output {
    /// Exit code; 128 + signal when it was killed.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A command that runs; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: mpsc::Receiver<Vec<u8>>,
    stderr: mpsc::Receiver<Vec<u8>>,
    out: Vec<u8>,
    err: Vec<u8>,
}

/// A command line with the shared directory, in the mode under test: the agent
/// in the process, a child that speaks on its standard streams, or one in a
/// virtual machine.
pub fn locald<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Locald {
    let mut command = Command::new(setting("LOCALD_BIN"));
    command.args(
        arguments
            .into_iter()
            .map(|argument| argument.as_ref().to_owned()),
    );
    command.env("LOCALD_HOME", shared_home());
    match std::env::var("LOCALD_TEST_MODE").as_deref() {
        Ok("stdio") => {
            let agent = setting("LOCALD_AGENT_BIN");
            command.env("LOCALD_AGENT", format!("exec:{agent} stdio"));
        }
        Ok("qemu") => {
            command
                .env("LOCALD_MACHINE", "qemu")
                .env("LOCALD_GUEST", setting("LOCALD_TEST_GUEST"));
        }
        _ => {}
    }
    Locald::of(command)
}

impl Locald {
    /// A command line of another locald.
    pub fn of(command: Command) -> Self {
        let input = None;
        Self { command, input }
    }

    /// The variables by which its surroundings are told.
    pub(crate) fn variables(&self) -> Vec<(OsString, OsString)> {
        let variables = self.command.get_envs();
        let set = variables.filter_map(|(name, value)| Some((name.into(), value?.into())));
        set.collect()
    }

    /// Further arguments.
    #[must_use]
    pub fn args<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        for argument in arguments {
            self.command.arg(argument.as_ref());
        }
        self
    }

    /// Another directory for all that locald keeps.
    #[must_use]
    pub fn home(mut self, home: &Path) -> Self {
        self.command.env("LOCALD_HOME", home);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Starts in a folder.
    #[must_use]
    pub fn current_dir(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Starts in a process group of its own, as a shell does it.
    #[must_use]
    pub fn job(mut self) -> Self {
        std::os::unix::process::CommandExt::process_group(&mut self.command, 0);
        self
    }

    /// Gives standard input.
    #[must_use]
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let stdin = if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("locald starts");
        if let Some(input) = self.input.take() {
            let mut stdin = child.stdin.take().unwrap();
            std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        }
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Running {
            child,
            stdout,
            stderr,
            out: Vec::new(),
            err: Vec::new(),
        }
    }

    /// Runs it to its end.
    pub fn run(self) -> Output {
        self.start().wait()
    }

    /// Runs it; it must end well.
    pub fn succeed(self) -> Output {
        let line = format!("{:?}", self.command);
        let output = self.run();
        assert_eq!(
            output.code, 0,
            "{line}\n{}\n{}",
            output.stdout, output.stderr
        );
        output
    }

    /// Runs it; it must end with a code, and say something.
    pub fn fail(self, code: i32, saying: &str) -> Output {
        let line = format!("{:?}", self.command);
        let output = self.run();
        let all = format!("{line}\n{}\n{}", output.stdout, output.stderr);
        assert_eq!(output.code, code, "{all}");
        assert!(
            output.stderr.contains(saying),
            "{saying:?} is not said: {all}"
        );
        output
    }
}

/// What a command line of a shell says in a terminal of its own, which `script`
/// makes.
pub fn in_terminal(line: &str) -> String {
    let mut command = Command::new("script");
    command
        .args(["-qec", line, "/dev/null"])
        .env("LOCALD_HOME", crate::shared_home())
        .env("TERM", "xterm")
        .stdin(Stdio::null());
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

impl Running {
    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the output holds a text.
    pub fn await_output(&mut self, text: &str) {
        let found = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        crate::await_that(&format!("{text:?} is said"), || {
            self.out.extend(self.stdout.try_iter().flatten());
            self.err.extend(self.stderr.try_iter().flatten());
            let said = found(&self.out) || found(&self.err);
            if !said && let Ok(Some(status)) = self.child.try_wait() {
                let all = String::from_utf8_lossy(&self.err);
                panic!("ended with {status} before {text:?} was said: {all}");
            }
            said
        });
    }

    /// Waits for a text, and returns the line that it is in.
    pub fn await_line(&mut self, text: &str) -> String {
        self.await_output(text);
        let all = [&self.out[..], &self.err[..]].concat();
        let all = String::from_utf8_lossy(&all).into_owned();
        let line = all.lines().find(|line| line.contains(text));
        line.unwrap_or_default().to_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Ctrl-C at the terminal of a [`job`](Locald::job): all of its processes
    /// are told.
    pub fn ctrl_c(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process_group(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Output {
        let mut status: Option<ExitStatus> = None;
        crate::await_that("locald ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        self.out.extend(rest(&self.stdout));
        self.err.extend(rest(&self.stderr));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output {
            code: code(status.unwrap()),
            stdout: text(&self.out),
            stderr: text(&self.err),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn rest(receiver: &mpsc::Receiver<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(chunk) = receiver.recv_timeout(DEADLINE) {
        bytes.extend(chunk);
    }
    bytes
}

fn collect(mut stream: impl std::io::Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Output {
    /// Standard output, then standard error.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Standard output as JSON objects, one a line.
    pub fn json(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| serde_json::from_str(line);
        let parsed = self
            .stdout
            .lines()
            .map(|line| parse(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line:?}")));
        parsed.collect()
    }
}
