//! Parses the header of an entry: one block of an archive.
//!
//! Many programs write headers, and not all as POSIX specifies. This module
//! accepts what Go's reader accepts, which Docker and most other tools use.

use std::io::{self, Read};

use tar::Header;

/// Bytes of a header; what is in an archive is padded to a multiple of it.
pub(super) const BLOCK: usize = 512;
/// What the field of the checksum itself counts as.
const BLANK: u8 = b' ';
/// "POSIX", and no more: not all write the version as POSIX wants it.
const USTAR: &[u8] = b"ustar\0";
/// Where the name's beginning is, where there is one.
const PREFIX: std::ops::Range<usize> = 345..500;
/// In the format of `star`, which has this mark at its end, it is shorter.
const STAR_PREFIX: std::ops::Range<usize> = 345..476;
const STAR: &[u8] = b"tar\0";

/// Reads the next header; none at the end of the archive, which is two blocks of
/// zeros, but some programs write one or none.
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

/// The sum of all bytes; old programs took them for signed numbers.
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

/// The name in a header, in one piece.
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
    // Go before 1.8 put a prefix where GNU's format has times.
    let is_time = |field: &[u8]| field[0] == 0 || number(field).is_some();
    match header.as_gnu() {
        Some(gnu) if !is_time(&gnu.atime) || !is_time(&gnu.ctime) => {
            let prefix = until_nul(&block[PREFIX]);
            if prefix.is_ascii() { prefix } else { &[] }
        }
        _ => &[],
    }
}

/// What a field, or the content of a long name, says.
pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// A number in octal digits, which zeros and blanks may surround, or in base
/// 256, which may be negative. Nothing at all is zero.
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

/// An archive that cannot be read on.
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
