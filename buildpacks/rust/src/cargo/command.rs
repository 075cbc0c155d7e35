//! Executes Cargo: computes its environment and its arguments.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Artefacts, CargoError, is_locked};
use crate::explain;
use crate::output;
use crate::selection::{Bins, Metadata, Selection};
use crate::settings::Table;
use crate::toolchain::Toolchain;

/// The most bytes of Cargo's messages that are kept for an explanation.
const TAIL: usize = 256 * 1024;

/// The Cargo of a toolchain, for a project.
pub(crate) struct Cargo {
    program: PathBuf,
    app: PathBuf,
    env: Vec<(OsString, OsString)>,
    colour: Colour,
}

/// Whether the compiler's messages have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Always. The platform removes colours that its user cannot see.
    Always,
    /// As Cargo's configuration says.
    Auto,
}

impl Cargo {
    /// The Cargo of a toolchain. `variables` take precedence over the
    /// buildpack's own environment.
    pub(crate) fn new(
        toolchain: &Toolchain,
        app: &Path,
        variables: Vec<(OsString, OsString)>,
        colour: Colour,
    ) -> Self {
        let path = |env: &[(OsString, OsString)]| {
            let given = env.iter().find(|(name, _)| name == "PATH");
            given
                .map(|(_, value)| value.clone())
                .or_else(|| std::env::var_os("PATH"))
        };
        let rest = path(&variables).unwrap_or_default();
        let parts = std::iter::once(toolchain.bin.clone()).chain(std::env::split_paths(&rest));
        let mut env = variables;
        if let Ok(joined) = std::env::join_paths(parts) {
            env.retain(|(name, _)| name != "PATH");
            env.push(("PATH".into(), joined));
        }
        Self {
            program: toolchain.bin.join("cargo"),
            app: app.to_owned(),
            env,
            colour,
        }
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(subcommand)
            .current_dir(&self.app)
            .stdin(Stdio::null())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            // Otherwise a rustup of the image would choose another compiler.
            .env_remove("RUSTUP_TOOLCHAIN");
        if is_locked(&self.app) {
            command.arg("--locked");
        }
        command
    }

    /// The members of the workspace.
    pub(crate) fn members(&self) -> Result<Metadata, CargoError> {
        let mut command = self.command("metadata");
        // Quiet, because the build itself prints the same warnings.
        command.args(["--no-deps", "--format-version", "1", "--quiet"]);
        let (answer, _) = run(command, read_all)?;
        serde_json::from_slice(&answer).map_err(CargoError::Answer)
    }

    /// Builds the selected targets.
    pub(crate) fn build(
        &self,
        selection: &Selection,
        settings: &Table,
    ) -> Result<Artefacts, CargoError> {
        let mut command = self.command("build");
        command
            .args(["--message-format", "json-render-diagnostics"])
            .args(arguments(selection, settings));
        if self.colour == Colour::Always {
            command.args(["--color", "always"]);
        }
        let (artefacts, _) = run(command, Artefacts::read)?;
        Ok(artefacts)
    }
}

/// The arguments of `cargo build`.
fn arguments(selection: &Selection, settings: &Table) -> Vec<String> {
    let mut arguments = vec!["--profile".to_owned(), settings.profile().to_owned()];
    let mut each = |flag: &str, values: &[String]| {
        for value in values {
            arguments.extend([flag.to_owned(), value.clone()]);
        }
    };
    each("--package", &selection.packages);
    if let Bins::Named(names) = &selection.bins {
        each("--bin", names);
    }
    each("--example", &selection.examples);
    each("--features", &settings.features);
    if selection.bins == Bins::All {
        arguments.push("--bins".to_owned());
    }
    if settings.all_features {
        arguments.push("--all-features".to_owned());
    }
    if settings.default_features == Some(false) {
        arguments.push("--no-default-features".to_owned());
    }
    arguments.extend_from_slice(&settings.cargo_args);
    arguments
}

/// Runs a command. `read` gets its standard output. Forwards its standard
/// error and, if it fails, explains it.
fn run<T: Send>(
    mut command: Command,
    read: impl FnOnce(std::process::ChildStdout) -> std::io::Result<T>,
) -> Result<(T, String), CargoError> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(CargoError::Start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let said = std::thread::spawn(move || stderr.map(pass_on).unwrap_or_default());
    let result = stdout.map(read).transpose().map_err(CargoError::Read);
    let status = child.wait().map_err(CargoError::Read)?;
    let said = said.join().unwrap_or_default();
    if !status.success() {
        let said = anstream::adapter::strip_str(&said).to_string();
        let explanation = explain::explain(&said);
        return Err(CargoError::Failed { explanation });
    }
    match result? {
        Some(result) => Ok((result, said)),
        None => Err(CargoError::Failed { explanation: None }),
    }
}

fn read_all(mut stdout: std::process::ChildStdout) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stdout.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Forwards messages as they come. Returns the last of them.
fn pass_on(stderr: impl Read) -> String {
    let mut kept = String::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|count| count > 0)
    {
        let text = String::from_utf8_lossy(&line);
        output::pass_on(text.trim_end_matches(['\n', '\r']));
        kept.push_str(&text);
        if kept.len() > 2 * TAIL {
            let start = kept.ceil_char_boundary(kept.len() - TAIL);
            kept.drain(..start);
        }
        line.clear();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_told_what_is_selected() {
        let mut selection = Selection {
            packages: vec!["shop".to_owned()],
            bins: Bins::Named(vec!["server".to_owned()]),
            examples: Vec::new(),
            web: None,
            members: Vec::new(),
        };
        let settings = Table {
            features: vec!["tls".to_owned()],
            default_features: Some(false),
            cargo_args: vec!["-v".to_owned()],
            ..Table::default()
        };
        assert_eq!(
            arguments(&selection, &settings).join(" "),
            "--profile release --package shop --bin server --features tls --no-default-features -v"
        );
        selection.bins = Bins::All;
        assert_eq!(
            arguments(&selection, &settings).join(" "),
            "--profile release --package shop --features tls --bins --no-default-features -v"
        );
    }
}
