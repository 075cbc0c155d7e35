//! Holds one entry of a layer's archive: its path, kind and metadata.

use rustix::io::Errno;
use tar::OldHeader;

use super::sparse::Layout;
use super::{LayerError, header, pax};

/// How PAX records name extended attributes.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The metadata of one path in an archive.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The path as the archive has it.
    pub(super) path: Vec<u8>,
    /// Target of a link.
    pub(super) link: Vec<u8>,
    /// Permission bits, including set-user-id, set-group-id and sticky.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds and nanoseconds since the epoch.
    pub(super) modified: (i64, u32),
    /// Names and values, as the archive has them.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) kind: Kind,
}

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File(Layout),
    Directory,
    Symlink,
    Hardlink,
    Fifo,
    Device,
    Other,
}

impl Entry {
    /// An entry with default metadata.
    pub(super) fn new(path: Vec<u8>, link: Vec<u8>) -> Self {
        Self {
            path,
            link,
            mode: 0,
            uid: 0,
            gid: 0,
            modified: (0, 0),
            xattrs: Vec::new(),
            kind: Kind::Other,
        }
    }

    /// The path as text, for messages.
    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }

    /// An error that names this entry.
    pub(super) fn refuse(&self, reason: &'static str) -> LayerError {
        let path = self.name();
        LayerError::Refused { path, reason }
    }

    /// An error for a failure to write this entry.
    pub(super) fn write_error(&self, errno: Errno) -> LayerError {
        LayerError::Write {
            path: self.name(),
            source: errno.into(),
        }
    }

    /// Sets mode, owner and time from a header.
    pub(super) fn apply_header(&mut self, fields: &OldHeader) -> Result<(), LayerError> {
        let mode = self.checked(header::number(&fields.mode))?;
        self.mode = u32::try_from(mode & 0o7777).unwrap_or_default();
        self.uid = id(self.checked(header::number(&fields.uid))?);
        self.gid = id(self.checked(header::number(&fields.gid))?);
        self.modified = (self.checked(header::number(&fields.mtime))?, 0);
        Ok(())
    }

    fn checked<T>(&self, number: Option<T>) -> Result<T, LayerError> {
        number.ok_or_else(|| self.refuse("a number in its header is malformed"))
    }

    /// The components of a path in the archive, relative to the root.
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

    /// Applies a PAX record. A record with an empty value leaves the header's
    /// value in place, except that an extended attribute may be empty.
    pub(super) fn apply_pax(&mut self, key: &[u8], value: &[u8]) -> Result<(), LayerError> {
        if let Some(name) = key.strip_prefix(XATTR) {
            self.xattrs.push((name.to_owned(), value.to_owned()));
            return Ok(());
        }
        match key {
            _ if value.is_empty() => {}
            b"path" => value.clone_into(&mut self.path),
            b"linkpath" => value.clone_into(&mut self.link),
            b"uid" => self.uid = id(self.checked(pax::number(value))?),
            b"gid" => self.gid = id(self.checked(pax::number(value))?),
            b"mtime" => self.modified = self.checked(pax::time(value))?,
            _ => {}
        }
        Ok(())
    }

    /// Sets the layout and the name of a sparse file. The archive may store the
    /// file under another name.
    pub(super) fn make_sparse(
        &mut self,
        map: Layout,
        name: Option<&[u8]>,
    ) -> Result<(), LayerError> {
        match &mut self.kind {
            Kind::File(layout) => *layout = map,
            _ => return Err(self.refuse("it has holes and is not a file")),
        }
        if let Some(name) = name {
            name.clone_into(&mut self.path);
        }
        Ok(())
    }
}

/// Converts a user or group id to 32 bits. Some programs write -2 for the user
/// `nobody`. An id that does not fit becomes root's. So does the highest id,
/// which means "no change" to the kernel.
fn id(number: i64) -> u32 {
    let negative = || i32::try_from(number).map(i32::cast_unsigned).ok();
    let id = u32::try_from(number).ok().or_else(negative);
    id.filter(|id| *id != u32::MAX).unwrap_or_default()
}
