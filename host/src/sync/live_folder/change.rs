//! Makes a change that the agent requests. The agent is not trusted. A change
//! cannot name a path outside the folder, does not write through a link, and
//! does not replace a file that the agent does not have.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fs_err::File;
use protocol::folder::{Answer, Change};
use protocol::source::EntryKind;
use tempfile::NamedTempFile;

use crate::sync::source::{PART, files, look};

/// A checked change. For a file, its bytes arrive before [`make`](Self::make).
pub(super) struct Target {
    root: PathBuf,
    path: PathBuf,
    change: Change,
    part: Option<NamedTempFile<File>>,
}

/// Why a change was not made, as the answer to the agent.
#[derive(Debug)]
pub(super) struct NotMade(pub(super) Answer);

impl NotMade {
    fn refused(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self(Answer::Refused { reason })
    }
}

impl From<io::Error> for NotMade {
    fn from(error: io::Error) -> Self {
        Self::refused(error.to_string())
    }
}

impl Target {
    /// Checks a change.
    pub(super) fn new(root: &Path, change: Change) -> Result<Self, NotMade> {
        let path = root.join(relative(&change.path).map_err(NotMade::refused)?);
        for folder in path.ancestors().skip(1).take_while(|it| *it != root) {
            match fs_err::symlink_metadata(folder) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Err(NotMade(Answer::Stale)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(NotMade(Answer::Stale));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut target = Self {
            root: root.to_owned(),
            path,
            change,
            part: None,
        };
        target.check()?;
        if matches!(target.change.wanted, Some(EntryKind::File { .. })) {
            let mut names = tempfile::Builder::new();
            names.prefix(PART);
            let part = names.make_in(target.folder(), |path| File::create_new(path))?;
            target.part = Some(part);
        }
        Ok(target)
    }

    /// Adds bytes of the file.
    pub(super) fn write(&mut self, bytes: &Bytes) -> Result<(), NotMade> {
        match &mut self.part {
            Some(part) => Ok(part.write_all(bytes)?),
            None => Ok(()),
        }
    }

    /// Makes the change. Returns the kind of the path after that.
    pub(super) fn make(mut self) -> Result<Option<EntryKind>, NotMade> {
        self.check()?;
        let part = self.part.take();
        let was_directory = is_directory(self.change.expected.as_ref());
        let is_kept = was_directory && is_directory(self.change.wanted.as_ref());
        if was_directory && !is_kept {
            fs_err::remove_dir(&self.path).map_err(not_removed)?;
        }
        match &self.change.wanted {
            None if was_directory => return Ok(None),
            None => {
                fs_err::remove_file(&self.path)?;
                return Ok(None);
            }
            Some(EntryKind::Directory { mode }) => {
                if !is_kept {
                    if self.change.expected.is_some() {
                        fs_err::remove_file(&self.path)?;
                    }
                    fs_err::create_dir(&self.path)?;
                }
                files::set_mode(&self.path, *mode)?;
            }
            Some(EntryKind::Symlink { target }) => {
                let mut names = tempfile::Builder::new();
                names.prefix(PART);
                let part = names.make_in(self.folder(), |path| files::link(target, path))?;
                part.into_temp_path()
                    .persist(&self.path)
                    .map_err(|it| it.error)?;
            }
            Some(EntryKind::File { mode, .. }) => {
                let Some(part) = part else {
                    return Err(NotMade(Answer::Stale));
                };
                files::set_mode(part.path(), *mode)?;
                part.persist(&self.path).map_err(|it| it.error)?;
            }
        }
        look(&self.root, &self.path).map_err(|error| NotMade::refused(error.to_string()))
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.root)
    }

    /// Checks that the path is still as the agent expects.
    fn check(&self) -> Result<(), NotMade> {
        let now = look(&self.root, &self.path);
        let now = now.map_err(|error| NotMade::refused(error.to_string()))?;
        match (&self.change.expected, &now) {
            (Some(expected), Some(now)) if is_same(expected, now) => Ok(()),
            (None, None) if !exists(&self.path) => Ok(()),
            (None, _) if !self.has_exact_name() => Err(NotMade::refused(
                "this system does not tell its name from another one there",
            )),
            (None, None) => Err(NotMade::refused("something else is in its place")),
            _ => Err(NotMade(Answer::Stale)),
        }
    }

    /// Whether the folder has this exact name. Some file systems ignore case,
    /// and find another name.
    fn has_exact_name(&self) -> bool {
        let entries = fs_err::read_dir(self.folder());
        let mut entries = entries.into_iter().flatten().flatten();
        entries.any(|entry| Some(&*entry.file_name()) == self.path.file_name())
    }
}

fn exists(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok()
}

fn is_directory(kind: Option<&EntryKind>) -> bool {
    matches!(kind, Some(EntryKind::Directory { .. }))
}

fn not_removed(error: io::Error) -> NotMade {
    match error.kind() {
        io::ErrorKind::DirectoryNotEmpty => NotMade::refused("it holds files that git ignores"),
        _ => error.into(),
    }
}

/// Whether a path is still as this side last listed it. A listed stamp of zero
/// matches every stamp.
fn is_same(told: &EntryKind, now: &EntryKind) -> bool {
    match (told, now) {
        (EntryKind::Directory { .. }, EntryKind::Directory { .. }) => true,
        (
            EntryKind::File {
                size,
                mode,
                modified,
                stamp,
            },
            EntryKind::File {
                size: size_now,
                mode: mode_now,
                modified: modified_now,
                stamp: stamp_now,
            },
        ) => {
            (size, mode, modified) == (size_now, mode_now, modified_now)
                && (*stamp == 0 || stamp == stamp_now)
        }
        (told, now) => told == now,
    }
}

/// Returns the relative path for a name of the agent. Refuses a name that leads
/// outside the root.
fn relative(name: &[u8]) -> Result<PathBuf, String> {
    let parts = || name.split(|byte| *byte == b'/');
    let is_strange = |part: &[u8]| matches!(part, b"" | b"." | b"..");
    if name.contains(&0) || parts().any(is_strange) {
        return Err("its path leads elsewhere".to_owned());
    }
    if parts()
        .next_back()
        .is_some_and(|it| it.starts_with(PART.as_bytes()))
    {
        return Err("such names are locald's own".to_owned());
    }
    match parts().find_map(files::refusal) {
        Some(reason) => Err(reason),
        None => Ok(files::path(name)),
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn change(path: &str, expected: Option<EntryKind>, wanted: Option<EntryKind>) -> Change {
        let path = path.into();
        Change {
            path,
            expected,
            wanted,
        }
    }

    fn file(size: u64) -> EntryKind {
        EntryKind::File {
            size,
            mode: 0o750,
            modified: 0,
            stamp: 0,
        }
    }

    fn write(root: &Path, change: Change, text: &'static str) -> Result<Option<EntryKind>, Answer> {
        let make = || {
            let mut target = Target::new(root, change)?;
            target.write(&Bytes::from_static(text.as_bytes()))?;
            target.make()
        };
        make().map_err(|NotMade(answer)| answer)
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        fs_err::create_dir(&root).unwrap();
        fs_err::os::unix::fs::symlink("..", root.join("up")).unwrap();
        fs_err::os::unix::fs::symlink("../victim", root.join("link")).unwrap();
        let name = |path: &str| write(&root, change(path, None, Some(file(1))), "x");
        for path in [
            "",
            "/x",
            "../x",
            "a/../../x",
            "./x",
            "a//b",
            "x\0",
            ".locald-part-x",
        ] {
            let refused = name(path).unwrap_err();
            assert!(matches!(refused, Answer::Refused { .. }), "{path:?}");
        }
        for path in ["up/x", "missing/x", "link"] {
            assert_eq!(name(path).unwrap_err(), Answer::Stale, "{path}");
        }
        let told = look(&root, &root.join("link")).unwrap();
        write(&root, change("link", told, Some(file(1))), "x").unwrap();
        let names = fs_err::read_dir(outside.path()).unwrap();
        assert_eq!(names.count(), 1);
        assert_eq!(fs_err::read_to_string(root.join("link")).unwrap(), "x");
    }

    #[test]
    fn what_the_agent_does_not_know_of_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let told = || look(root.path(), &path).unwrap();
        write(root.path(), change("a", None, Some(file(3))), "new").unwrap();
        let old = told();
        fs_err::write(&path, "newer").unwrap();
        let stale = |wanted| write(root.path(), change("a", old.clone(), wanted), "x").unwrap_err();
        assert_eq!(stale(Some(file(1))), Answer::Stale);
        assert_eq!(stale(None), Answer::Stale);
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "newer");
        // The path changes while the bytes arrive.
        let mut target = Target::new(root.path(), change("a", told(), Some(file(1)))).unwrap();
        target.write(&Bytes::from_static(b"x")).unwrap();
        fs_err::write(&path, "newest").unwrap();
        assert_eq!(target.make().unwrap_err().0, Answer::Stale);
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "newest");
        assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_kind_becomes_another() {
        let root = tempfile::tempdir().unwrap();
        let directory = Some(EntryKind::Directory { mode: 0o755 });
        let target = b"b".to_vec();
        let symlink = Some(EntryKind::Symlink { target });
        let mut told = None;
        for wanted in [
            &directory,
            &Some(file(1)),
            &symlink,
            &directory,
            &symlink,
            &Some(file(1)),
            &None,
        ] {
            told = write(root.path(), change("a", told, wanted.clone()), "x").unwrap();
            let kind = |kind: &Option<EntryKind>| kind.as_ref().map(std::mem::discriminant);
            assert_eq!(kind(&told), kind(wanted));
        }
        told = write(root.path(), change("a", None, directory.clone()), "").unwrap();
        fs_err::write(root.path().join("a/ignored"), "").unwrap();
        let kept = write(root.path(), change("a", told, None), "").unwrap_err();
        assert!(matches!(kept, Answer::Refused { .. }));
    }
}
