//! Writes the content of a file.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};

use super::LayerError;
use super::entry::Entry;
use super::sparse::Layout;

/// Writes each piece at its offset. The gaps between the pieces stay holes.
pub(super) fn write(
    file: &mut File,
    entry: &Entry,
    layout: &Layout,
    from: &mut impl Read,
    buffer: &mut [u8],
) -> Result<(), LayerError> {
    let failed = |source| LayerError::Write {
        path: entry.name(),
        source,
    };
    let mut end = 0;
    for (offset, length) in &layout.pieces {
        if *offset != end {
            file.seek(SeekFrom::Start(*offset)).map_err(failed)?;
        }
        let mut piece = from.take(*length);
        while piece.limit() > 0 {
            let read = piece.read(buffer).map_err(LayerError::Archive)?;
            if read == 0 {
                return Err(LayerError::Archive(io::ErrorKind::UnexpectedEof.into()));
            }
            file.write_all(&buffer[..read]).map_err(failed)?;
        }
        end = offset + length;
    }
    if end != layout.size {
        file.set_len(layout.size).map_err(failed)?;
    }
    Ok(())
}
