//! A terminal as people have it: tmux, with a shell in it.

use std::path::PathBuf;
use std::process::Command;

/// A terminal and its shell; both end when this is dropped.
#[derive(Debug)]
pub struct Terminal {
    directory: tempfile::TempDir,
}

impl Terminal {
    /// A terminal of a size, whose shell knows locald as `locald`.
    pub fn open(columns: u16, rows: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let terminal = Self { directory };
        let binary = PathBuf::from(crate::setting("LOCALD_BIN"));
        let folder = binary.parent().unwrap().display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = terminal.tmux();
        command
            .args(["new-session", "-d", "-x", &columns.to_string()])
            .args(["-y", &rows.to_string(), "bash", "--norc"])
            .env("PATH", format!("{folder}:{path}"))
            .env("PS1", "$ ")
            .env("LC_ALL", "C.UTF-8")
            .envs(crate::locald([""; 0]).variables());
        assert!(command.status().expect("tmux starts").success());
        terminal.await_text("$");
        terminal
    }

    /// Types a line.
    pub fn enter(&self, line: &str) {
        self.run(&["send-keys", "-l", line]);
        self.key("Enter");
    }

    /// Presses a key, by tmux's name for it: `C-c`.
    pub fn key(&self, key: &str) {
        self.run(&["send-keys", key]);
    }

    /// Changes the size of the window.
    pub fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.run(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// What the terminal shows and has in its scrollback; lines that it has
    /// wrapped are whole.
    pub fn text(&self) -> String {
        let text = self.run(&["capture-pane", "-p", "-J", "-S", "-"]);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Waits until something is shown.
    pub fn await_text(&self, text: &str) {
        crate::await_that(&format!("{text:?} is shown"), || self.text().contains(text));
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.tmux().args(arguments).output().expect("tmux starts");
        String::from_utf8(output.stdout).unwrap()
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.directory.path().join("socket"));
        command.args(["-u", "-f", "/dev/null"]);
        command
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}
