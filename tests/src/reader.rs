//! Programs that nobody here wrote, and that read our images.

use std::process::Command;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Reader(pub &'static str);

impl Reader {
    /// Runs the program; it must be there and end well. Returns what it said.
    pub fn run<S: AsRef<str>>(self, arguments: &[S]) -> String {
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let output = Command::new(self.0).args(&arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.0));
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{} {arguments:?}: {}{}",
            self.0,
            said(&output.stdout),
            said(&output.stderr)
        );
        said(&output.stdout)
    }
}
