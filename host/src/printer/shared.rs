//! One stream that several printers write to, each whole lines at a time.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// A handle; cheap to clone. It is no `Write`: what writes to one in pieces
/// would let others come between them.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Box<dyn Write + Send>>>);

impl Shared {
    pub(super) fn new(writer: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    /// Writes a line.
    pub(super) fn line(&self, line: &str) {
        self.text(&format!("{line}\n"));
    }

    /// Writes lines that stay together.
    pub(super) fn lines(&self, lines: &[String]) {
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        self.text(&text);
    }

    /// Writes text as it is; nobody else writes between its parts.
    pub(super) fn text(&self, text: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to be told when the stream is closed.
        let _ = writer.write_all(text.as_bytes());
        let _ = writer.flush();
    }
}
