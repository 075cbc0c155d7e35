//! Mounts stacks of directories with overlayfs.

use std::ffi::CString;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, mount};

use crate::kernel::namespace::Privilege;

/// The directories of an overlay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stack<'a, P> {
    /// The read-only lower directories, the topmost first.
    pub(super) lowers: &'a [P],
    /// The directory for changes.
    pub(super) upper: &'a Path,
    /// An empty directory on the file system of `upper`.
    pub(super) work: &'a Path,
}

impl<P: AsRef<Path>> Stack<'_, P> {
    /// Mounts the stack at `target`, through short names in the new directory
    /// `links`.
    ///
    /// All options together must fit into a page. With short names they do, on
    /// each kernel, for as many layers as overlayfs accepts. The names also
    /// contain no character that separates options.
    pub(super) fn mount(self, links: &Path, target: &Path, privilege: Privilege) -> io::Result<()> {
        fs_err::create_dir(links)?;
        forget_volatile(self.work)?;
        let link = |path: &Path, name: &str| fs_err::os::unix::fs::symlink(path, links.join(name));
        for (number, lower) in self.lowers.iter().enumerate() {
            link(lower.as_ref(), &number.to_string())?;
        }
        link(self.upper, "u")?;
        link(self.work, "w")?;
        let options = CString::new(options(self.lowers.len(), privilege))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        std::env::set_current_dir(links)?;
        let mounted = mount(
            "overlay",
            target,
            "overlay",
            flags,
            Some(options.as_c_str()),
        );
        std::env::set_current_dir("/")?;
        Ok(mounted?)
    }
}

/// Removes the mark that a volatile overlay leaves to warn that its changes may
/// not survive a power cut. locald does not rely on that, and a later phase of
/// the same build uses the changes.
fn forget_volatile(work: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(work.join("work/incompat")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The options of the mount. `index=off` permits to move and copy layers.
/// `volatile` saves a flush of the whole file system at the end of the
/// container. `userxattr` keeps whiteouts in attributes that a user namespace
/// can write.
fn options(layers: usize, privilege: Privilege) -> String {
    let mut options = "index=off,volatile,upperdir=u,workdir=w,lowerdir=0".to_owned();
    for number in 1..layers {
        // Writing to a string cannot fail.
        let _ = write!(options, ":{number}");
    }
    if privilege == Privilege::Rootless {
        options.push_str(",userxattr");
    }
    options
}

#[cfg(test)]
mod tests {
    use super::options;
    use crate::kernel::namespace::Privilege;

    #[test]
    fn the_topmost_layer_comes_first() {
        assert_eq!(
            options(3, Privilege::Rootless),
            "index=off,volatile,upperdir=u,workdir=w,lowerdir=0:1:2,userxattr"
        );
        assert!(options(1, Privilege::Root).ends_with("lowerdir=0"));
    }

    #[test]
    fn as_many_layers_as_can_be_stacked_fit_in_a_page() {
        assert!(options(500, Privilege::Rootless).len() < 4000);
    }
}
