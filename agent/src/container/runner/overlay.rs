//! Mounts stacks of directories by overlayfs.

use std::ffi::CString;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, mount};

use crate::kernel::namespace::Privilege;

/// What overlayfs puts together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stack<'a, P> {
    /// Read-only, the topmost first.
    pub(super) lowers: &'a [P],
    /// Gets the changes.
    pub(super) upper: &'a Path,
    /// Empty, on the same file system as `upper`.
    pub(super) work: &'a Path,
}

impl<P: AsRef<Path>> Stack<'_, P> {
    /// Mounts the stack at `target`, by way of short names in the new
    /// directory `links`.
    ///
    /// All options together must fit in a page. The names make that so for as
    /// many layers as overlayfs accepts, on each kernel, and no character of a
    /// path can be taken for a separator of options.
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

/// The mark that a volatile overlay leaves, so that nobody trusts its changes
/// after a power cut. Here nobody does, and a later phase of the same build
/// goes on with them.
fn forget_volatile(work: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(work.join("work/incompat")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Without `index`, layers may be moved and copied; `volatile` saves a flush of
/// the whole file system when the container ends; whiteouts are kept in
/// attributes that a user namespace can write.
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
