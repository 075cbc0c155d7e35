//! Writes received files in several threads. The kernel needs far longer to
//! create a small file than the agent needs to receive it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use protocol::source::Entry;
use tokio::sync::mpsc;

use super::tree::{Time, TreeDir};
use super::{SourceError, Times};
use crate::images::digest::Digest;

/// The most threads.
const THREADS: usize = 4;
/// The most files in a batch. Most are in one directory.
const FILES: usize = 64;
/// The most bytes in a batch.
const BYTES: usize = 1024 * 1024;

/// A completely received file.
pub(super) struct Arrived {
    /// The number of the file in the request.
    pub(super) index: usize,
    pub(super) entry: Entry,
    /// Digest of its last received content.
    pub(super) before: Option<Digest>,
    pub(super) bytes: Vec<u8>,
}

/// The number of each written file, and the digest of its content.
type Written = Vec<(usize, Digest)>;
type Jobs = Arc<Mutex<mpsc::Receiver<Vec<Arrived>>>>;

/// Writes files in threads. Dropping it waits until no thread writes any more.
pub(super) struct Writers {
    batch: Vec<Arrived>,
    bytes: usize,
    jobs: Option<mpsc::Sender<Vec<Arrived>>>,
    threads: Vec<JoinHandle<Result<Written, SourceError>>>,
}

impl Writers {
    pub(super) fn start(tree: &TreeDir, times: Times) -> Result<Self, SourceError> {
        let (jobs, receiver) = mpsc::channel(1);
        let receiver: Jobs = Arc::new(Mutex::new(receiver));
        let mut writers = Self {
            batch: Vec::new(),
            bytes: 0,
            jobs: Some(jobs),
            threads: Vec::new(),
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for _ in 0..threads.min(THREADS) {
            let (tree, jobs) = (tree.again()?, Arc::clone(&receiver));
            let write = move || write_all(&tree, &jobs, times);
            writers.threads.push(std::thread::spawn(write));
        }
        Ok(writers)
    }

    /// Adds a file to the current batch.
    pub(super) async fn write(&mut self, file: Arrived) {
        self.bytes += file.bytes.len();
        self.batch.push(file);
        if self.batch.len() >= FILES || self.bytes >= BYTES {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        if let Some(jobs) = &self.jobs {
            // This fails if all threads have failed. `finish` returns their
            // error.
            let _ = jobs.send(batch).await;
        }
    }

    /// Waits until all files are written.
    pub(super) async fn finish(mut self) -> Result<Written, SourceError> {
        self.flush().await;
        let mut all = Written::new();
        for ended in tokio::task::block_in_place(|| self.join()) {
            match ended {
                Ok(written) => all.extend(written?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    }

    /// Waits for all threads, even if one of them has failed.
    fn join(&mut self) -> Vec<std::thread::Result<Result<Written, SourceError>>> {
        self.jobs = None;
        self.threads.drain(..).map(JoinHandle::join).collect()
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

fn write_all(tree: &TreeDir, jobs: &Jobs, times: Times) -> Result<Written, SourceError> {
    let mut written = Written::new();
    // The thread that waits for the next batch holds the lock.
    let next = || {
        let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.blocking_recv()
    };
    while let Some(batch) = next() {
        for file in batch {
            written.push((file.index, write(&file, tree, times)?));
        }
    }
    Ok(written)
}

fn write(arrived: &Arrived, tree: &TreeDir, times: Times) -> Result<Digest, SourceError> {
    let mut file = tree.file(&arrived.entry)?;
    file.write(&arrived.bytes)?;
    let digest = Digest::of(&arrived.bytes);
    file.finish(Time::of(digest, arrived.before, times))?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use protocol::source::EntryKind;

    use super::*;

    fn file(index: usize, path: &str) -> Arrived {
        let kind = EntryKind::File {
            size: 0,
            mode: 0o640,
            modified: 0,
            stamp: 0,
        };
        Arrived {
            index,
            entry: Entry {
                path: path.into(),
                kind,
            },
            before: None,
            bytes: path.into(),
        }
    }

    async fn write(root: &std::path::Path, files: Vec<Arrived>) -> Result<Written, SourceError> {
        let tree = TreeDir::open(root).unwrap();
        let times = Times::begin(&root.join("times")).unwrap();
        let mut writers = Writers::start(&tree, times)?;
        for file in files {
            writers.write(file).await;
        }
        writers.finish().await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_file_is_written_once() {
        let root = tempfile::tempdir().unwrap();
        for directory in 0..5 {
            fs_err::create_dir(root.path().join(directory.to_string())).unwrap();
        }
        let path = |index| format!("{}/{index}", index % 5);
        let files: Vec<Arrived> = (0..500).map(|index| file(index, &path(index))).collect();
        let mut written = write(root.path(), files).await.unwrap();
        written.sort_by_key(|(index, _)| *index);
        assert_eq!(written.len(), 500);
        for (number, (index, digest)) in written.iter().enumerate() {
            assert_eq!(*index, number);
            let content = fs_err::read_to_string(root.path().join(path(number))).unwrap();
            assert_eq!(content, path(number));
            assert_eq!(*digest, Digest::of(content.as_bytes()));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_written_is_named() {
        let root = tempfile::tempdir().unwrap();
        let files = (0..1000).map(|index| file(index, "no/such/file"));
        let error = write(root.path(), files.collect()).await.unwrap_err();
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }
}
