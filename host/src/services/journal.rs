//! Stores the output of services on disk, in order of arrival: one JSON object
//! a line, in at most two files of limited size.

use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err::File;
use serde::{Deserialize, Serialize};

use crate::platform::state_file;

/// The maximum size of a file in bytes.
const LARGEST: u64 = 8 * 1024 * 1024;

/// A line of output of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogEntry {
    pub(crate) service: String,
    /// `stdout` or `stderr`.
    pub(crate) stream: String,
    pub(crate) line: String,
}

/// Writes lines. Clones write to the same journal.
#[derive(Debug, Clone)]
pub(crate) struct Journal(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Pages {
    path: PathBuf,
    file: File,
    written: u64,
    largest: u64,
    /// Whether the last line is incomplete, because a write failed.
    is_cut: bool,
}

/// Returns the path of the earlier file.
fn earlier(path: &Path) -> PathBuf {
    path.with_file_name("log.1.jsonl")
}

impl Journal {
    /// Creates an empty journal, and removes an earlier one.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Self::with_largest(path, LARGEST)
    }

    fn with_largest(path: &Path, largest: u64) -> io::Result<Self> {
        state_file::remove(&earlier(path))?;
        // A reader of the old file can still read it.
        let _ = fs_err::remove_file(path);
        Ok(Self(Arc::new(Mutex::new(Pages {
            path: path.to_owned(),
            file: File::create(path)?,
            written: 0,
            largest,
            is_cut: false,
        }))))
    }

    /// Adds a line. If the write fails, the line is lost, and the services
    /// continue.
    pub(crate) fn add(&self, entry: &LogEntry) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = pages.add(entry) {
            tracing::debug!(%error, "the journal cannot be written");
        }
    }
}

impl Pages {
    fn add(&mut self, entry: &LogEntry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if self.written > 0 && self.written + line.len() as u64 > self.largest {
            // If a full disk has no room for a new file, this file continues.
            let next = self.path.with_file_name("log.next.jsonl");
            let file = File::create(&next)?;
            fs_err::rename(&self.path, earlier(&self.path))?;
            fs_err::rename(next, &self.path)?;
            self.file = file;
            self.written = 0;
            self.is_cut = false;
        }
        if std::mem::replace(&mut self.is_cut, true) {
            // End the incomplete line first.
            line.insert(0, b'\n');
        }
        self.file.write_all(&line)?;
        self.is_cut = false;
        self.written += line.len() as u64;
        Ok(())
    }
}

/// Reads a journal from its start, also while another process writes it.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    /// The start of an incomplete line.
    begun: Vec<u8>,
    in_earlier: bool,
}

impl Reader {
    /// Opens a journal. Returns `None` if there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let open = |path: &Path| match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let (file, in_earlier) = match open(&earlier(path))? {
            Some(file) => (Some(file), true),
            None => (open(path)?, false),
        };
        Ok(file.map(|file| Self {
            path: path.to_owned(),
            file: BufReader::new(file),
            begun: Vec::new(),
            in_earlier,
        }))
    }

    /// Returns the next complete line. Returns `None` if there is none yet.
    pub(crate) fn next(&mut self) -> io::Result<Option<LogEntry>> {
        loop {
            self.file.read_until(b'\n', &mut self.begun)?;
            if self.begun.ends_with(b"\n") {
                let entry = serde_json::from_slice(&self.begun);
                self.begun.clear();
                match entry {
                    Ok(entry) => return Ok(Some(entry)),
                    // A full disk has cut the line.
                    Err(error) => tracing::debug!(%error, "a line of the journal is lost"),
                }
            } else if !self.turn()? {
                return Ok(None);
            }
        }
    }

    /// Continues with the next file at the end of this one. Returns whether
    /// there is more to read.
    fn turn(&mut self) -> io::Result<bool> {
        if self.in_earlier {
            self.file = BufReader::new(File::open(&self.path)?);
            self.in_earlier = false;
            return Ok(true);
        }
        // A new journal at the same path is shorter than the part that was read
        // of the old one.
        let mut next = File::open(&self.path)?;
        let read = self.file.stream_position()?;
        let is_other = !same_file(self.file.get_ref(), &next)? || next.metadata()?.len() < read;
        if is_other && self.file.get_ref().metadata()?.len() > read {
            // The writer added lines to this file after the last read.
            return Ok(true);
        }
        if is_other {
            next.seek(SeekFrom::Start(0))?;
            self.file = BufReader::new(next);
        }
        Ok(is_other)
    }
}

/// Whether two handles are of the same file, by its length and the time of its
/// creation: every system has both.
fn same_file(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok(one.created().ok() == other.created().ok())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn entry(number: usize) -> LogEntry {
        LogEntry {
            service: "web".to_owned(),
            stream: "stdout".to_owned(),
            line: format!("line {number} {}", "x".repeat(60)),
        }
    }

    fn rest(reader: &mut Reader) -> Vec<LogEntry> {
        std::iter::from_fn(|| reader.next().unwrap()).collect()
    }

    #[test]
    fn a_journal_is_bounded_and_keeps_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        assert!(Reader::open(&path).unwrap().is_none());
        let journal = Journal::with_largest(&path, 1000).unwrap();
        let mut following = Reader::open(&path).unwrap().unwrap();
        for number in 0..100 {
            journal.add(&entry(number));
            assert_eq!(rest(&mut following), [entry(number)]);
        }
        let kept = rest(&mut Reader::open(&path).unwrap().unwrap());
        assert!((9..20).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last(), Some(&entry(99)));
        let size = |path: &Path| fs_err::metadata(path).unwrap().len();
        assert!(size(&path) + size(&earlier(&path)) <= 2000);
        Journal::with_largest(&path, 1000).unwrap();
        assert!(rest(&mut Reader::open(&path).unwrap().unwrap()).is_empty());
    }

    #[test]
    fn a_line_that_was_cut_costs_no_other_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let journal = Journal::create(&path).unwrap();
        journal.add(&entry(1));
        let swap = |file: File| std::mem::replace(&mut journal.0.lock().unwrap().file, file);
        // A read-only handle makes the write fail.
        let mut file = swap(File::open(&path).unwrap());
        journal.add(&entry(2));
        // The disk had room for a part of the line.
        file.write_all(b"{\"service\":\"we").unwrap();
        swap(file);
        journal.add(&entry(3));
        journal.add(&entry(4));
        let lines = rest(&mut Reader::open(&path).unwrap().unwrap());
        assert_eq!(lines, [entry(1), entry(3), entry(4)]);
    }

    #[test]
    fn a_page_that_cannot_be_begun_leaves_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let journal = Journal::with_largest(&path, 1000).unwrap();
        // The folder prevents the creation of a file with this name.
        let obstacle = folder.path().join("log.next.jsonl");
        fs_err::create_dir(&obstacle).unwrap();
        for number in 0..20 {
            journal.add(&entry(number));
        }
        let kept = rest(&mut Reader::open(&path).unwrap().unwrap()).len();
        assert!((5..20).contains(&kept), "{kept}");
        fs_err::remove_dir(&obstacle).unwrap();
        journal.add(&entry(20));
        let lines = rest(&mut Reader::open(&path).unwrap().unwrap());
        assert_eq!((lines.len(), lines.last()), (kept + 1, Some(&entry(20))));
    }

    #[test]
    fn half_a_line_is_none_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        fs_err::write(&path, "{\"service\":\"web\",").unwrap();
        let mut reader = Reader::open(&path).unwrap().unwrap();
        assert_eq!(reader.next().unwrap(), None);
        let mut file = fs_err::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"\"stream\":\"stdout\",\"line\":\"x\"}\n")
            .unwrap();
        assert_eq!(reader.next().unwrap().unwrap().line, "x");
    }
}
