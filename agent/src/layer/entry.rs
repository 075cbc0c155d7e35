//! One entry of a layer's archive.

use super::LayerError;

/// What an archive says about a path.
#[derive(Debug)]
pub(super) struct Entry {
    /// As it stands in the archive.
    pub(super) path: Vec<u8>,
    /// Target of a link.
    pub(super) link: Vec<u8>,
    /// Permission bits, with set-id and sticky.
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// Seconds and nanoseconds since the epoch.
    pub(super) modified: (i64, u32),
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
    pub(super) kind: Kind,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File { size: u64 },
    Directory,
    Symlink,
    Hardlink,
    Fifo,
    Device,
    Other,
}

impl Entry {
    /// An error that names this entry.
    pub(super) fn refuse(&self, reason: &'static str) -> LayerError {
        let path = String::from_utf8_lossy(&self.path).into_owned();
        LayerError::Refused { path, reason }
    }

    /// Before POSIX.1-1988 a directory was a file whose name ends in a slash.
    pub(super) fn regular_or_directory(&self, size: u64) -> Kind {
        if self.path.ends_with(b"/") {
            Kind::Directory
        } else {
            Kind::File { size }
        }
    }

    /// Components of a path of the archive, below the root.
    pub(super) fn components<'a>(&self, path: &'a [u8]) -> Result<Vec<&'a [u8]>, LayerError> {
        if path.is_empty() || path.contains(&0) {
            return Err(self.refuse("its name is empty or holds a NUL byte"));
        }
        let components: Vec<&[u8]> = path
            .split(|byte| *byte == b'/')
            .filter(|component| !component.is_empty() && *component != b".")
            .collect();
        if components.contains(&&b".."[..]) {
            return Err(self.refuse("its name leads out of the layer by \"..\""));
        }
        Ok(components)
    }

    /// Applies a PAX record; `size` is what the header says, and decides how
    /// much of the archive belongs to this entry.
    pub(super) fn apply_pax(
        &mut self,
        key: &str,
        value: Vec<u8>,
        size: u64,
    ) -> Result<(), LayerError> {
        match key {
            "path" => self.path = value,
            "linkpath" => self.link = value,
            "uid" => self.uid = self.number(&value)?,
            "gid" => self.gid = self.number(&value)?,
            "size" if self.number(&value)? != size => {
                return Err(self.refuse("its PAX header gives another size than its header"));
            }
            "mtime" => self.modified = self.time(&value)?,
            _ if key.starts_with("GNU.sparse.") => {
                return Err(self.refuse("sparse files are not supported"));
            }
            _ => {
                if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                    self.add_xattr(name, value)?;
                }
            }
        }
        Ok(())
    }

    fn add_xattr(&mut self, name: &str, value: Vec<u8>) -> Result<(), LayerError> {
        if name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") {
            return Err(self.refuse("it carries overlayfs's own extended attributes"));
        }
        if name.starts_with("user.") || name == "security.capability" {
            self.xattrs.push((name.to_owned(), value));
        }
        Ok(())
    }

    fn number(&self, value: &[u8]) -> Result<u64, LayerError> {
        std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.refuse("a number in its PAX header is malformed"))
    }

    fn time(&self, value: &[u8]) -> Result<(i64, u32), LayerError> {
        let malformed = || self.refuse("the time in its PAX header is malformed");
        let text = std::str::from_utf8(value).map_err(|_| malformed())?;
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds = seconds.parse().map_err(|_| malformed())?;
        let mut digits: String = fraction.chars().take(9).collect();
        while digits.len() < 9 {
            digits.push('0');
        }
        Ok((seconds, digits.parse().map_err(|_| malformed())?))
    }
}
