//! Records changes of the agreed state since its last complete write, so that
//! an interrupted round counts as far as it went.
//!
//! ```text
//! length u32 LE | an encoded record
//! ```
//!
//! The journal is not synced. After a reboot it is ignored, because the files
//! that it describes may be torn.

use std::io::{self, Write as _};
use std::path::Path;

use bincode::{Decode, Encode};
use fs_err::File;

use super::Noted;
use crate::store::{boot_id, local_encoding};

/// The new state of a path.
#[derive(Debug, Encode, Decode)]
pub(super) struct JournalRecord {
    pub(super) path: Vec<u8>,
    pub(super) noted: Noted,
}

/// A journal that is open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Opens a journal. Returns it with its records.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<JournalRecord>)> {
        let mut options = fs_err::OpenOptions::new();
        let file = options.create(true).append(true).read(true).open(path)?;
        let records = read(&fs_err::read(path)?);
        Ok((Self { file }, records))
    }

    /// Removes all records.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.append(&local_encoding::encode(&boot_id::id()?.to_owned())?)
    }

    /// Adds a record of a changed path.
    pub(super) fn add(&self, path: &[u8], noted: Noted) -> io::Result<()> {
        let path = path.to_vec();
        self.append(&local_encoding::encode(&JournalRecord { path, noted })?)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        (&self.file).write_all(&[&length.to_le_bytes(), bytes].concat())
    }
}

/// All records of this boot, up to the first incomplete one.
fn read(bytes: &[u8]) -> Vec<JournalRecord> {
    let mut rest = bytes;
    let boot = next(&mut rest).and_then(local_encoding::decode::<String>);
    if boot.as_deref() != boot_id::id().ok() {
        return Vec::new();
    }
    std::iter::from_fn(|| next(&mut rest).and_then(local_encoding::decode)).collect()
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (record, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(record)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_journal_is_read_up_to_where_it_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let names = |records: Vec<JournalRecord>| -> Vec<Vec<u8>> {
            records.into_iter().map(|it| it.path).collect()
        };
        let (mut journal, records) = Journal::open(&path).unwrap();
        assert!(records.is_empty());
        journal.clear().unwrap();
        for name in ["a", "b"] {
            journal.add(name.as_bytes(), Noted::default()).unwrap();
        }
        let whole = fs_err::read(&path).unwrap();
        assert_eq!(names(read(&whole)), [b"a", b"b"]);
        for cut in 0..whole.len() {
            let expected = ["a", "b"].map(|it| it.as_bytes().to_vec());
            let records = names(read(&whole[..cut]));
            assert!(records.len() < 2 && expected.starts_with(&records), "{cut}");
        }
        journal.clear().unwrap();
        assert!(Journal::open(&path).unwrap().1.is_empty());
    }

    #[test]
    fn another_start_of_the_machine_knows_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (journal, _) = Journal::open(&path).unwrap();
        journal
            .append(&local_encoding::encode(&"another".to_owned()).unwrap())
            .unwrap();
        journal.add(b"a", Noted::default()).unwrap();
        assert!(Journal::open(&path).unwrap().1.is_empty());
    }
}
