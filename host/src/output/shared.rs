//! A stream that several printers share. Each writes whole lines.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A handle; cheap to clone. It is no `Write`: what writes to one in pieces
/// would let others come between them.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Stream>>);

struct Stream {
    writer: Box<dyn Write + Send>,
    /// Why something could not be written.
    error: Option<io::Error>,
}

impl Shared {
    pub(super) fn new(writer: Box<dyn Write + Send>) -> Self {
        let error = None;
        Self(Arc::new(Mutex::new(Stream { writer, error })))
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
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = &mut stream.writer;
        let written = writer.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| writer.flush()) {
            stream.error.get_or_insert(error);
        }
    }

    /// Why something could not be written, if that matters to anybody: a reader
    /// that has read enough is none.
    pub(super) fn error(&self) -> Option<io::Error> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let error = stream.error.take();
        error.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }
}
