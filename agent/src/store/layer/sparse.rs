//! Reads sparse files, whose holes an archive omits, in the four formats that
//! GNU tar writes: "Storing Sparse Files" in its manual.

use std::io::{self, Read};

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::header::{BLOCK, damaged, number};
use super::pax::{self, Records};

/// The most bytes of a map.
const MAP_CAP: usize = 1024 * 1024;

/// The layout of a file: which bytes of it the archive stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// Offset and length of each stored piece in bytes, in the order of the
    /// archive.
    pub(super) pieces: Vec<(u64, u64)>,
    /// Size of the whole file in bytes.
    pub(super) size: u64,
}

impl Layout {
    /// A file without holes.
    pub(super) fn dense(size: u64) -> Self {
        Self {
            pieces: vec![(0, size)],
            size,
        }
    }

    /// Refuses pieces that overlap or exceed the size. An empty piece only
    /// marks the end of a hole.
    fn new(mut pieces: Vec<(u64, u64)>, size: u64) -> io::Result<Self> {
        let mut end = 0;
        for (offset, length) in &pieces {
            let after = offset.checked_add(*length);
            end = match after {
                Some(after) if *offset >= end && after <= size => after,
                _ => return Err(damaged("the map of a sparse file is impossible")),
            };
        }
        pieces.retain(|(_, length)| *length > 0);
        Ok(Self { pieces, size })
    }

    /// Reads the layout from GNU's own header and from the blocks that follow
    /// it.
    pub(super) fn of_header(header: &Header, archive: &mut impl Read) -> io::Result<Self> {
        // star uses the same entry type with another map.
        let header = header.as_gnu().ok_or_else(unknown)?;
        let mut pieces = Vec::new();
        add_pieces(&header.sparse, &mut pieces)?;
        let mut goes_on = header.isextended[0] != 0;
        for _ in 0..MAP_CAP / BLOCK {
            if !goes_on {
                return Self::new(pieces, unsigned(&header.realsize)?);
            }
            let mut block = GnuExtSparseHeader::new();
            archive.read_exact(block.as_mut_bytes())?;
            add_pieces(&block.sparse, &mut pieces)?;
            goes_on = block.isextended[0] != 0;
        }
        Err(damaged("the map of a sparse file has more than 1 MiB"))
    }

    /// Reads the layout from PAX records or, if they say so, from the start of
    /// the content. Absent if the file is not sparse.
    pub(super) fn of_records(
        records: &Records,
        content: &mut impl Read,
        stored: u64,
    ) -> io::Result<Option<Self>> {
        let version = ["GNU.sparse.major", "GNU.sparse.minor"].map(|key| records.get(key));
        let map = match version {
            [Some(b"1"), Some(b"0")] => Some(map_before(content)?),
            [None, None] | [Some(b"0"), Some(b"0" | b"1")] => map_of(records)?,
            _ => return Err(unknown()),
        };
        let Some(map) = map else {
            return Ok(None);
        };
        let size = ["GNU.sparse.size", "GNU.sparse.realsize"].map(|key| records.get(key));
        let size = match size.into_iter().flatten().next() {
            Some(size) => pax::number(size).ok_or_else(malformed)?,
            None => stored,
        };
        let (pieces, []) = map.as_chunks() else {
            return Err(malformed());
        };
        let pieces = pieces.iter().map(|[offset, length]| (*offset, *length));
        Self::new(pieces.collect(), size).map(Some)
    }
}

fn unknown() -> io::Error {
    damaged("the format of a sparse file is unknown")
}

fn malformed() -> io::Error {
    damaged("the map of a sparse file is malformed")
}

fn unsigned(field: &[u8]) -> io::Result<u64> {
    let number = number(field).and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(malformed)
}

/// Adds pieces to the list. The first empty field ends the list.
fn add_pieces(list: &[GnuSparseHeader], pieces: &mut Vec<(u64, u64)>) -> io::Result<()> {
    for piece in list.iter().take_while(|it| it.offset[0] != 0) {
        pieces.push((unsigned(&piece.offset)?, unsigned(&piece.numbytes)?));
    }
    Ok(())
}

/// Reads the map from PAX records. Version 0.0 has a record for each number,
/// version 0.1 one record for all.
fn map_of(records: &Records) -> io::Result<Option<Vec<u64>>> {
    let mut numbers: Vec<&[u8]> = Vec::new();
    for (key, value) in records.iter() {
        match (key, numbers.len() % 2) {
            (b"GNU.sparse.offset", 0) | (b"GNU.sparse.numbytes", 1) => numbers.push(value),
            (b"GNU.sparse.offset" | b"GNU.sparse.numbytes", _) => return Err(malformed()),
            _ => {}
        }
    }
    if let Some(map) = records.get("GNU.sparse.map") {
        numbers = map.split(|byte| *byte == b',').collect();
    }
    if numbers.is_empty() && records.get("GNU.sparse.numblocks").is_none() {
        return Ok(None);
    }
    let numbers: Option<Vec<u64>> = numbers.into_iter().map(pax::number).collect();
    numbers.map(Some).ok_or_else(malformed)
}

/// Reads the map of version 1.0 from the start of the content. It has one
/// number a line. The first is the number of pieces. The map fills whole
/// blocks.
fn map_before(content: &mut impl Read) -> io::Result<Vec<u64>> {
    let mut map = Vec::new();
    let mut lines = Lines {
        content,
        block: [0; BLOCK],
        at: BLOCK,
        left: MAP_CAP / BLOCK,
    };
    let count = lines.next()?;
    for _ in 0..count.checked_mul(2).ok_or_else(malformed)? {
        map.push(lines.next()?);
    }
    Ok(map)
}

/// Reads numbers, one a line, in whole blocks.
struct Lines<'a, R> {
    content: &'a mut R,
    block: [u8; BLOCK],
    at: usize,
    /// Blocks that may be read.
    left: usize,
}

impl<R: Read> Lines<'_, R> {
    fn next(&mut self) -> io::Result<u64> {
        let mut line = Vec::new();
        loop {
            if self.at == BLOCK {
                self.left = self.left.checked_sub(1).ok_or_else(malformed)?;
                self.content.read_exact(&mut self.block)?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            if byte == b'\n' {
                return pax::number(&line).ok_or_else(malformed);
            }
            line.push(byte);
        }
    }
}
