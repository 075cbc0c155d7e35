//! Parses the header of an entry: one block of an archive.
//!
//! Not all programs write headers as POSIX specifies. This module accepts the
//! headers that Go's reader accepts. Docker and most other tools use that
//! reader.

use std::io::{self, Read};

use tar::Header;

/// Bytes of a header. The content of each entry is padded to a multiple of it.
pub(super) const BLOCK: usize = 512;
/// The checksum counts its own field as if it held this byte.
const BLANK: u8 = b' ';
/// The magic of POSIX, without the version: some programs write another
/// version.
const USTAR: &[u8] = b"ustar\0";
/// The field with the first part of a long name.
const PREFIX: std::ops::Range<usize> = 345..500;
/// The same field in the format of `star`, which is shorter. Such a header ends
/// with `STAR`.
const STAR_PREFIX: std::ops::Range<usize> = 345..476;
const STAR: &[u8] = b"tar\0";

/// Reads the next header; absent at the end of the archive. Two blocks of zeros
/// mark the end, and some programs write one or none.
pub(super) fn read(archive: &mut impl Read) -> io::Result<Option<Header>> {
    let Some(header) = read_block(archive)? else {
        return Ok(None);
    };
    if is_zero(&header) {
        return match read_block(archive)? {
            Some(second) if !is_zero(&second) => Err(damaged("it goes on after a block of zeros")),
            _ => Ok(None),
        };
    }
    if !has_checksum(&header) {
        return Err(damaged("the checksum of a header is wrong"));
    }
    Ok(Some(header))
}

fn read_block(archive: &mut impl Read) -> io::Result<Option<Header>> {
    let mut header = Header::new_old();
    let block = header.as_mut_bytes();
    let mut filled = 0;
    while filled < BLOCK {
        match archive.read(&mut block[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(header))
}

fn is_zero(header: &Header) -> bool {
    header.as_bytes() == &[0; BLOCK]
}

/// Whether the checksum is right. It is the sum of all bytes. Old programs
/// added them as signed numbers.
fn has_checksum(header: &Header) -> bool {
    let expected = number(&header.as_old().cksum);
    let mut right = header.clone();
    right.set_cksum();
    if expected == number(&right.as_old().cksum) {
        return true;
    }
    right.as_old_mut().cksum.fill(BLANK);
    let signed = right.as_bytes().iter().map(|byte| byte.cast_signed());
    expected == Some(signed.map(i64::from).sum())
}

/// The full name in a header, with its prefix.
pub(super) fn name(header: &Header) -> Vec<u8> {
    let name = until_nul(&header.as_old().name);
    match prefix(header) {
        [] => name.to_owned(),
        prefix => [prefix, b"/", name].concat(),
    }
}

fn prefix(header: &Header) -> &[u8] {
    let block = header.as_bytes();
    let is_star = block.ends_with(STAR);
    if block[257..].starts_with(USTAR) {
        return until_nul(&block[if is_star { STAR_PREFIX } else { PREFIX }]);
    }
    // Go before 1.8 wrote a prefix where GNU's format has times.
    let is_time = |field: &[u8]| field[0] == 0 || number(field).is_some();
    match header.as_gnu() {
        Some(gnu) if !is_time(&gnu.atime) || !is_time(&gnu.ctime) => {
            let prefix = until_nul(&block[PREFIX]);
            if prefix.is_ascii() { prefix } else { &[] }
        }
        _ => &[],
    }
}

/// The bytes of a field, or of a long name, up to the first zero byte.
pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// Parses a number: octal digits, with zeros or blanks around them, or base
/// 256, which may be negative. An empty field is zero.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        // The sign is the second bit.
        let first = i64::from((first << 1).cast_signed() >> 1);
        return rest.iter().try_fold(first, |number, byte| {
            number.checked_mul(256)?.checked_add(i64::from(*byte))
        });
    }
    let is_filler = |byte: &u8| matches!(byte, 0 | b' ');
    let start = field.iter().position(|byte| !is_filler(byte));
    let digits = until_nul(&field[start.unwrap_or(field.len())..]).trim_ascii_end();
    if digits.is_empty() {
        return Some(0);
    }
    let digits = std::str::from_utf8(digits).ok()?;
    let is_octal = digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    i64::from_str_radix(digits, 8).ok().filter(|_| is_octal)
}

/// The error for an archive that cannot be read further.
pub(super) fn damaged(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_programs_write_them() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"00000644", Some(0o644)),
            (b"644 \0\0\0\0", Some(0o644)),
            (b"644\0junk", Some(0o644)),
            (b"\0\x000644", Some(0o644)),
            (b"       \0", Some(0)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"\x80\0\0\0\0\0\x01\x02", Some(258)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (
                b"\x80\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff",
                Some(0x7f_ffff_ffff_ffff),
            ),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0\0\0", None),
            (b"0000888\0", None),
            (b"-000001\0", None),
            (b"12 34\0", None),
            (b"+0000012", None),
        ] {
            assert_eq!(number(field), expected, "{}", field.escape_ascii());
        }
    }
}
