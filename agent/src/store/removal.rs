//! Removes files and trees.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::StoreError;
use crate::kernel::walk::{Entry, Step, Walk, is_directory};

/// Removes a file. Succeeds if there is none.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a tree of any depth, including directories that are not writable.
/// Two processes may remove the same tree at the same time.
pub fn remove_tree(path: &Path) -> Result<(), StoreError> {
    let removed = remove(path).or_else(unless_gone);
    removed.map_err(|source| StoreError::io("remove", path, source))
}

fn remove(path: &Path) -> io::Result<()> {
    if !fs_err::symlink_metadata(path)?.is_dir() {
        return fs_err::remove_file(path);
    }
    let walk = Walk::of(path).or_else(|error| {
        let unreadable = error.kind() == io::ErrorKind::PermissionDenied;
        unreadable.then_some(()).ok_or(error)?;
        rustix::fs::chmod(path, Mode::RWXU)?;
        Walk::of(path)
    });
    empty(walk?)?;
    fs_err::remove_dir(path)
}

fn empty(mut walk: Walk) -> io::Result<()> {
    while let Some(step) = walk.next()? {
        match step {
            Step::Entry(entry) => {
                let stat = match entry.stat(&walk) {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        make_writable(&walk)?;
                        entry.stat(&walk)
                    }
                    stat => stat,
                };
                match stat {
                    Ok(stat) if is_directory(&stat) => enter(&mut walk, &entry)?,
                    Ok(_) => unlink(&walk, &entry, AtFlags::empty())?,
                    Err(error) => unless_gone(error)?,
                }
            }
            Step::Left(entry) => unlink(&walk, &entry, AtFlags::REMOVEDIR)?,
        }
    }
    Ok(())
}

fn enter(walk: &mut Walk, entry: &Entry) -> io::Result<()> {
    let mut entered = walk.enter(entry);
    if is_denied(&entered)
        && let Some(current) = walk.directory()
    {
        rustix::fs::chmodat(current, &entry.name, Mode::RWXU, AtFlags::empty())?;
        entered = walk.enter(entry);
    }
    entered.map(drop).or_else(unless_gone)
}

fn unlink(walk: &Walk, entry: &Entry, flags: AtFlags) -> io::Result<()> {
    let unlink = |current: BorrowedFd<'_>| rustix::fs::unlinkat(current, &entry.name, flags);
    let current = walk.directory().ok_or(Errno::BADF)?;
    let mut unlinked = unlink(current).map_err(io::Error::from);
    if is_denied(&unlinked) {
        make_writable(walk)?;
        unlinked = unlink(current).map_err(io::Error::from);
    }
    unlinked.or_else(unless_gone)
}

fn make_writable(walk: &Walk) -> io::Result<()> {
    let current = walk.directory().ok_or(Errno::BADF)?;
    Ok(rustix::fs::fchmod(current, Mode::RWXU)?)
}

fn is_denied<T>(result: &io::Result<T>) -> bool {
    let error = result.as_ref().err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Ignores a missing file: another process may remove the same tree.
fn unless_gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::kernel::walk::tests::make_deep;

    #[test]
    fn trees_go_whatever_they_are() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        let mode = |path: &str, mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            fs_err::set_permissions(tree.join(path), mode).unwrap();
        };
        fs_err::create_dir_all(tree.join("closed/inner")).unwrap();
        fs_err::create_dir_all(tree.join("read-only/inner")).unwrap();
        fs_err::create_dir_all(tree.join("listed/inner")).unwrap();
        fs_err::write(tree.join("read-only/file"), "").unwrap();
        let outside = place.path().join("outside");
        fs_err::create_dir(&outside).unwrap();
        fs_err::write(outside.join("kept"), "").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("link")).unwrap();
        make_deep(&tree.join("read-only/inner"), 1_100);
        mode("closed", 0);
        mode("read-only", 0o555);
        mode("listed", 0o444);
        mode("", 0o500);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("kept").exists());
        // Succeeds for a missing tree. Removes a file, and a link without its
        // target.
        remove_tree(&tree).unwrap();
        std::os::unix::fs::symlink(&outside, &tree).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&outside.join("kept")).unwrap();
        assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 0);
    }
}
