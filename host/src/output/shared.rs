//! A stream that several printers share. Each writes whole lines.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A handle of the stream. Clones are cheap. It does not implement `Write`:
/// several small writes could mix with those of other handles.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Stream>>);

struct Stream {
    writer: Box<dyn Write + Send>,
    /// The first error of a write.
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

    /// Writes lines, without other output between them.
    pub(super) fn lines(&self, lines: &[String]) {
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        self.text(&text);
    }

    /// Writes text as it is, without other output between its parts.
    pub(super) fn text(&self, text: &str) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = &mut stream.writer;
        let written = writer.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| writer.flush()) {
            stream.error.get_or_insert(error);
        }
    }

    /// Returns the first error of a write. A closed pipe is not an error: its
    /// reader needs no more output.
    pub(super) fn error(&self) -> Option<io::Error> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let error = stream.error.take();
        error.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }
}
