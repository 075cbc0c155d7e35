//! A buffered reader that keeps its buffer on a seek to the current position.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes per read.
const SIZE: usize = 64 * 1024;

/// Buffers a file in large parts, for a reader that seeks often.
#[derive(Debug)]
pub(super) struct Window<R> {
    inner: R,
    /// The current position in the file.
    position: u64,
    /// The position of the buffer in the file.
    start: u64,
    buffer: Vec<u8>,
}

impl<R: Read + Seek> Window<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            position: 0,
            start: 0,
            buffer: Vec::new(),
        }
    }

    /// Returns the bytes of the buffer from the current position.
    fn rest(&self) -> &[u8] {
        let skipped = self.position.checked_sub(self.start);
        let skipped = skipped.and_then(|it| usize::try_from(it).ok());
        skipped
            .and_then(|skipped| self.buffer.get(skipped..))
            .unwrap_or_default()
    }
}

impl<R: Read + Seek> Read for Window<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest().is_empty() {
            self.inner.seek(SeekFrom::Start(self.position))?;
            self.start = self.position;
            self.buffer.clear();
            let part = (&mut self.inner).take(SIZE as u64);
            { part }.read_to_end(&mut self.buffer)?;
        }
        let rest = self.rest();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Window<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::End(_) => self.inner.seek(to)?,
            SeekFrom::Current(by) => self
                .position
                .checked_add_signed(by)
                .ok_or(io::ErrorKind::InvalidInput)?,
        };
        Ok(self.position)
    }
}
