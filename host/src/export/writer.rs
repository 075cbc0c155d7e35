//! Writes the files of an export as they arrive from the agent.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Component, Path};
use std::process::ChildStdin;

use bytes::{Buf as _, Bytes};
use fs_err::File;
use tempfile::{NamedTempFile, TempDir};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{ExportError, ExportTarget};

/// The maximum number of chunks between the agent and the disk.
const QUEUE: usize = 16;
const PREFIX: &str = ".locald-";

/// Writes an export. The target appears when [`finish`](Self::finish) succeeds.
/// Dropping the writer before that leaves nothing on disk.
#[derive(Debug)]
pub(crate) struct Writer {
    parts: mpsc::Sender<Part>,
    task: JoinHandle<Result<(), ExportError>>,
}

#[derive(Debug)]
enum Part {
    File { path: String, size: u64 },
    Bytes(Bytes),
    End,
}

impl Writer {
    /// Starts an export. If `replace` is true, the export replaces an existing
    /// target at the end.
    pub(crate) fn create(target: &ExportTarget, replace: bool) -> Result<Self, ExportError> {
        let path = target.path();
        if !target.is_stdout() && !replace && fs_err::symlink_metadata(path).is_ok() {
            return Err(ExportError::Exists(path.to_owned()));
        }
        let place = Place::make(target).map_err(|source| failed(target, source))?;
        let target = target.clone();
        Ok(Self::run(move |parts| {
            let written = place.write(parts, target.path());
            written.map_err(|source| failed(&target, source))
        }))
    }

    /// Starts an archive that goes to a program's standard input.
    pub(crate) fn feed(input: ChildStdin) -> Self {
        Self::run(move |parts| {
            let written = write_archive(io::BufWriter::new(input), parts);
            written.map_err(|source| ExportError::Feed { source })
        })
    }

    fn run(write: impl FnOnce(&mut Parts) -> Result<(), ExportError> + Send + 'static) -> Self {
        let (parts, received) = mpsc::channel(QUEUE);
        let task = tokio::task::spawn_blocking(move || write(&mut Parts::new(received)));
        Self { parts, task }
    }

    /// Starts the next file. Exactly `size` bytes must follow.
    pub(crate) async fn file(&mut self, path: String, size: u64) -> Result<(), ExportError> {
        if !is_plain(&path) {
            return Err(ExportError::Path(path));
        }
        self.send(Part::File { path, size }).await
    }

    /// Adds bytes of the file.
    pub(crate) async fn bytes(&mut self, bytes: Bytes) -> Result<(), ExportError> {
        self.send(Part::Bytes(bytes)).await
    }

    /// Completes the export, and gives it its name.
    pub(crate) async fn finish(mut self) -> Result<(), ExportError> {
        self.send(Part::End).await?;
        self.joined().await
    }

    /// Whether the writing task has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Sends a part to the writing task. If the task has failed, returns its
    /// error.
    async fn send(&mut self, part: Part) -> Result<(), ExportError> {
        match self.parts.send(part).await {
            Ok(()) => Ok(()),
            Err(_) => self.joined().await,
        }
    }

    async fn joined(&mut self) -> Result<(), ExportError> {
        let joined = (&mut self.task).await;
        joined.unwrap_or_else(|error| {
            Err(ExportError::Write {
                path: "the export".into(),
                source: io::Error::other(error),
            })
        })
    }
}

fn failed(target: &ExportTarget, source: io::Error) -> ExportError {
    ExportError::Write {
        path: target.path().to_owned(),
        source,
    }
}

/// Whether a path stays below the root of the export.
fn is_plain(path: &str) -> bool {
    let mut components = Path::new(path).components();
    !path.is_empty() && components.all(|component| matches!(component, Component::Normal(_)))
}

/// The place of an export until it has its name.
enum Place {
    Folder(TempDir),
    Archive(NamedTempFile<File>),
    Stdout,
}

impl Place {
    /// Uses the target's folder, so that a rename is enough at the end.
    fn make(target: &ExportTarget) -> io::Result<Self> {
        if target.is_stdout() {
            return Ok(Self::Stdout);
        }
        let parent = match target.path().parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut names = tempfile::Builder::new();
        names.prefix(PREFIX);
        Ok(match target {
            ExportTarget::OciLayout(_) => Self::Folder(names.tempdir_in(parent)?),
            // A temporary file that has the mode of a new file, not 0600.
            _ => Self::Archive(names.make_in(parent, |path| File::create_new(path))?),
        })
    }

    fn write(self, parts: &mut Parts, path: &Path) -> io::Result<()> {
        match self {
            Self::Stdout => write_archive(io::stdout().lock(), parts),
            Self::Archive(mut file) => {
                write_archive(io::BufWriter::new(file.as_file_mut()), parts)?;
                file.as_file().sync_all()?;
                file.persist(path)?;
                Ok(())
            }
            Self::Folder(folder) => {
                let layout = folder.path().join("layout");
                write_folder(&layout, parts)?;
                if fs_err::symlink_metadata(path).is_ok() {
                    // The temporary folder is removed with the old content.
                    fs_err::rename(path, folder.path().join("replaced"))?;
                }
                fs_err::rename(layout, path)
            }
        }
    }
}

fn write_folder(root: &Path, parts: &mut Parts) -> io::Result<()> {
    fs_err::create_dir(root)?;
    while let Some((path, size)) = parts.next_file()? {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        let written = io::copy(&mut parts.take(size), &mut File::create_new(&path)?)?;
        if written < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

fn write_archive(output: impl Write, parts: &mut Parts) -> io::Result<()> {
    let mut archive = tar::Builder::new(output);
    let mut folders = BTreeSet::new();
    while let Some((path, size)) = parts.next_file()? {
        let parents = Path::new(&path).ancestors().skip(1);
        let mut parents: Vec<_> = parents.filter(|it| !it.as_os_str().is_empty()).collect();
        // For a folder without an entry, skopeo uses root as the owner, or
        // fails.
        while let Some(parent) = parents.pop() {
            if folders.insert(parent.to_owned()) {
                let mut header = tar::Header::new_ustar();
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                header.set_mode(0o755);
                archive.append_data(&mut header, parent, io::empty())?;
            }
        }
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, parts.take(size))?;
    }
    archive.into_inner()?.flush()
}

/// Reads the received files as a sequence of bytes.
struct Parts {
    received: mpsc::Receiver<Part>,
    bytes: Bytes,
}

impl Parts {
    fn new(received: mpsc::Receiver<Part>) -> Self {
        Self {
            received,
            bytes: Bytes::new(),
        }
    }

    /// Returns the path and size of the next file. Returns `None` at the end of
    /// the export. Fails if the sender stops before the end.
    fn next_file(&mut self) -> io::Result<Option<(String, u64)>> {
        match self.received.blocking_recv() {
            Some(Part::File { path, size }) if self.bytes.is_empty() => Ok(Some((path, size))),
            Some(Part::End) if self.bytes.is_empty() => Ok(None),
            Some(_) => Err(io::Error::other("the agent sends more than it announced")),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn take(&mut self, size: u64) -> io::Take<&mut Self> {
        Read::take(self, size)
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.bytes.is_empty() {
            match self.received.blocking_recv() {
                Some(Part::Bytes(bytes)) => self.bytes = bytes,
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = self.bytes.len().min(buffer.len());
        self.bytes.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn target(folder: &Path, kind: &str) -> ExportTarget {
        format!("{kind}:{}", folder.join("out").display())
            .parse()
            .unwrap()
    }

    async fn send(writer: &mut Writer) -> Result<(), ExportError> {
        writer.file("blobs/a".to_owned(), 5).await?;
        writer.bytes(Bytes::from_static(b"he")).await?;
        writer.bytes(Bytes::from_static(b"llo")).await?;
        writer.file("empty".to_owned(), 0).await
    }

    fn visible(folder: &Path) -> usize {
        fs_err::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn files_become_a_folder_or_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let layout = target(folder.path(), "oci");
        let mut writer = Writer::create(&layout, false).unwrap();
        send(&mut writer).await.unwrap();
        writer.finish().await.unwrap();
        let file = fs_err::read_to_string(folder.path().join("out/blobs/a"));
        assert_eq!(file.unwrap(), "hello");
        let error = Writer::create(&layout, false).unwrap_err();
        assert!(matches!(error, ExportError::Exists(_)), "{error}");

        let mut writer = Writer::create(&target(folder.path(), "oci"), true).unwrap();
        writer.file("other".to_owned(), 0).await.unwrap();
        writer.finish().await.unwrap();
        assert!(!folder.path().join("out/blobs").exists());
        fs_err::remove_dir_all(folder.path().join("out")).unwrap();

        let mut writer = Writer::create(&target(folder.path(), "oci-archive"), false).unwrap();
        send(&mut writer).await.unwrap();
        writer.finish().await.unwrap();
        let file = File::open(folder.path().join("out")).unwrap();
        let mut archive = tar::Archive::new(file);
        let sizes: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|it| it.unwrap().size())
            .collect();
        // Includes the entry of the first file's folder.
        assert_eq!(sizes, [0, 5, 0]);
        assert_eq!(visible(folder.path()), 1);
    }

    #[tokio::test]
    async fn what_is_not_finished_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["oci", "docker-archive"] {
            let mut writer = Writer::create(&target(folder.path(), kind), false).unwrap();
            writer.file("a".to_owned(), 5).await.unwrap();
            let Writer { parts, task } = writer;
            drop(parts);
            assert!(task.await.unwrap().is_err());
            assert_eq!(visible(folder.path()), 0, "{kind}");
        }
    }

    #[tokio::test]
    async fn paths_stay_below_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(&target(folder.path(), "oci"), false).unwrap();
        for path in ["../x", "/x", "", "a/../../x", "."] {
            let error = writer.file(path.to_owned(), 0).await.unwrap_err();
            assert!(matches!(error, ExportError::Path(_)), "{path}");
        }
    }
}
