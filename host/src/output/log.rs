//! Writes the full log of a build to disk.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use fs_err::File;

use super::sanitise::clean;

/// The log file of a build. The first line creates it. Errors are ignored: the
/// build continues without a log.
#[derive(Debug, Default)]
pub(super) struct Log {
    path: Option<PathBuf>,
    file: Option<BufWriter<File>>,
}

impl Log {
    pub(super) const fn at(path: PathBuf) -> Self {
        Self {
            path: Some(path),
            file: None,
        }
    }

    /// Adds a line without control sequences.
    pub(super) fn line(&mut self, line: &str) {
        if self.file.is_none() {
            self.create();
        }
        if let Some(file) = &mut self.file
            && writeln!(file, "{}", clean(line)).is_err()
        {
            self.file = None;
            self.path = None;
        }
    }

    /// Completes the file. Returns its path, if there is a file.
    pub(super) fn close(&mut self) -> Option<PathBuf> {
        let path = self.flush().map(Path::to_owned);
        self.file = None;
        self.path = None;
        path
    }

    /// Writes all lines to the file. Returns its path, if there is a file.
    pub(super) fn flush(&mut self) -> Option<&Path> {
        self.file.as_mut()?.flush().ok()?;
        self.path.as_deref()
    }

    /// Creates the file. It replaces the log of the last build.
    fn create(&mut self) {
        let Some(path) = &self.path else {
            return;
        };
        let folder = path.parent().map(fs_err::create_dir_all);
        let made = folder
            .and_then(Result::ok)
            .and_then(|()| File::create(path).ok());
        self.file = made.map(BufWriter::new);
        if self.file.is_none() {
            self.path = None;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Log;

    #[test]
    fn a_log_is_made_with_its_first_line_and_replaces_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/shop.log");
        for text in ["\u{1b}[31mfirst", "second"] {
            let mut log = Log::at(path.clone());
            log.line(text);
            assert_eq!(log.close(), Some(path.clone()));
        }
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "second\n");
        assert_eq!(Log::at(folder.path().join("other")).close(), None);
    }

    #[test]
    fn an_unwritable_place_is_no_error() {
        let mut log = Log::at("/proc/none/shop.log".into());
        log.line("lost");
        assert_eq!(log.close(), None);
    }
}
