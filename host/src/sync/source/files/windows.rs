//! Windows: paths are Unicode with `\` between components, links may name
//! drives, and files have no mode that marks them as executable.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Component, Path, PathBuf};

use protocol::source::MODE_BY_CONTENT;

use crate::sync::source::SourceError;

/// Whether patterns of ignore files ignore case, as git does on such file
/// systems.
pub(in crate::sync::source) const IGNORES_CASE: bool = true;

/// Returns the path below the root as the protocol encodes it. Refuses an
/// unpaired surrogate, which Windows allows in a name.
pub(in crate::sync::source) fn name(relative: &Path) -> Result<Vec<u8>, SourceError> {
    let text = relative.to_str();
    let text = text.ok_or_else(|| SourceError::Name(relative.to_owned()))?;
    Ok(text.replace('\\', "/").into_bytes())
}

/// Returns the path of a [`name`].
pub(crate) fn path(name: &[u8]) -> PathBuf {
    String::from_utf8_lossy(name).replace('/', "\\").into()
}

/// Returns a link's target as the protocol encodes it. A target with a drive
/// (every junction has one) becomes relative if it is in the tree. Other
/// targets with a drive are refused: they do not exist in the machine.
pub(in crate::sync::source) fn target(
    root: &Path,
    link: &Path,
    target: &Path,
) -> Result<Vec<u8>, SourceError> {
    if !target.has_root() && !matches!(target.components().next(), Some(Component::Prefix(_))) {
        return name(target);
    }
    let plain = dunce::simplified(target);
    let outside = || SourceError::LinkOutside {
        link: link.to_owned(),
        target: plain.to_owned(),
    };
    let inside = plain.strip_prefix(root).map_err(|_| outside())?;
    let folder = link
        .parent()
        .and_then(|folder| folder.strip_prefix(root).ok());
    let up = folder.map_or(0, |folder| folder.components().count());
    let relative: PathBuf = std::iter::repeat_n(Component::ParentDir, up)
        .chain(inside.components())
        .collect();
    if relative.as_os_str().is_empty() {
        return Ok(b".".to_vec());
    }
    name(&relative)
}

/// Returns the permission bits. The agent decides on those of files by their
/// content.
pub(in crate::sync::source) fn mode(metadata: &Metadata) -> u16 {
    if metadata.is_dir() {
        0o755
    } else {
        MODE_BY_CONTENT
    }
}

/// Returns a stamp that changes whenever the content may have changed.
pub(in crate::sync::source) fn stamp(metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    let times = (metadata.modified().ok(), metadata.created().ok());
    (metadata.len(), times).hash(&mut hasher);
    hasher.finish() | 1
}

/// Returns why this system cannot have a name: Win32 gives some names and
/// characters another meaning ("Naming Files, Paths, and Namespaces").
pub(crate) fn refusal(name: &[u8]) -> Option<String> {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let Ok(text) = std::str::from_utf8(name) else {
        return Some("its name is not valid Unicode".to_owned());
    };
    let is_special = |it: char| it < ' ' || "<>:\"|?*\\".contains(it);
    if let Some(special) = text.chars().find(|it| is_special(*it)) {
        return Some(format!(
            "its name holds {special:?}, which Windows cannot have"
        ));
    }
    if text.ends_with(['.', ' ']) {
        return Some("its name ends with a dot or a space, which Windows leaves out".to_owned());
    }
    let stem = text.split('.').next().unwrap_or_default();
    let stem = stem.trim_end().to_lowercase();
    let is_port = |kind: &str| {
        let number = stem.strip_prefix(kind);
        number.is_some_and(|it| it.chars().count() == 1 && "0123456789¹²³".contains(it))
    };
    let is_device = DEVICES.contains(&&*stem) || is_port("com") || is_port("lpt");
    is_device.then(|| "its name is a device of Windows'".to_owned())
}

/// Does nothing: Windows has no permission bits.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same signature on each system"
)]
pub(crate) fn set_mode(_path: &Path, _mode: u16) -> io::Result<()> {
    Ok(())
}

/// Makes a symbolic link. Windows allows that in developer mode only. A link
/// must declare whether its target is a directory.
pub(crate) fn link(target: &[u8], at: &Path) -> io::Result<()> {
    let target = path(target);
    let folder = at.parent().unwrap_or(Path::new(""));
    if folder.join(&target).is_dir() {
        fs_err::os::windows::fs::symlink_dir(&target, at)
    } else {
        fs_err::os::windows::fs::symlink_file(&target, at)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::ffi::OsString;
    use std::os::windows::ffi::OsStringExt as _;

    use super::*;

    fn leads(link: &str, to: &str) -> Result<String, String> {
        let target = target(Path::new(r"C:\p"), Path::new(link), Path::new(to));
        target
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn links_lead_to_the_same_place_there() {
        assert_eq!(leads(r"C:\p\a\l", r"..\b\c").unwrap(), "../b/c");
        assert_eq!(leads(r"C:\p\a\l", r"C:\p\b\c").unwrap(), "../b/c");
        assert_eq!(leads(r"C:\p\l", r"\\?\C:\p\b").unwrap(), "b");
        assert_eq!(leads(r"C:\p\l", r"C:\p").unwrap(), ".");
        for outside in [r"C:\q", r"D:\p\b", r"\\server\share\x", r"\b"] {
            let error = leads(r"C:\p\a\l", outside).unwrap_err();
            assert!(error.contains(r"C:\p\a\l"), "{error}");
        }
    }

    #[test]
    fn names_are_unicode_with_slashes() {
        assert_eq!(name(Path::new(r"a\ü")).unwrap(), "a/ü".as_bytes());
        assert_eq!(path(b"a/b"), Path::new(r"a\b"));
        let half = OsString::from_wide(&[0x61, 0xd800]);
        assert!(name(Path::new(&half)).is_err());
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in [
            "nul",
            "NUL.txt",
            "Com1",
            "lpt².log",
            "con ",
            "a:b",
            "a?",
            "dir.",
            "x ",
            "a\\b",
            "\u{1}",
        ] {
            assert!(refusal(name.as_bytes()).is_some(), "{name}");
        }
        for name in ["nullable", "com", "com10", "console", ".git", "a b", "ü"] {
            assert_eq!(refusal(name.as_bytes()), None, "{name}");
        }
    }
}
