//! Decompresses gzip: RFC 1952, one or more members.
//!
//! It ignores the CRC-32: the diffID of a layer covers the same bytes, and
//! computing both takes 2 % of a pull.

use std::io::{self, BufRead, Read};

use flate2::bufread::{DeflateDecoder, GzDecoder};

/// A reader that decompresses all members of a file.
pub(super) struct Members<R> {
    data: DeflateDecoder<R>,
    is_ended: bool,
}

impl<R: BufRead> Members<R> {
    /// Reads the header of the first member.
    pub(super) fn new(mut file: R) -> io::Result<Self> {
        skip_header(&mut file)?;
        let (data, is_ended) = (DeflateDecoder::new(file), false);
        Ok(Self { data, is_ended })
    }

    /// Advances to the next member. Returns false if there is none.
    fn next(&mut self) -> io::Result<bool> {
        let size = self.data.total_out();
        let file = self.data.get_mut();
        let mut trailer = [0; 8];
        file.read_exact(&mut trailer)?;
        // The trailer holds the CRC-32 and the size modulo 2^32.
        if trailer[4..] != size.to_le_bytes()[..4] {
            let message = "a gzip member has another size than it says";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        if file.fill_buf()?.is_empty() {
            return Ok(false);
        }
        skip_header(file)?;
        self.data.reset_data();
        Ok(true)
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.is_ended {
            let read = self.data.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.is_ended = !self.next()?;
        }
        Ok(0)
    }
}

fn skip_header(file: &mut impl BufRead) -> io::Result<()> {
    // The decoder reads the header at once, and no further byte.
    let mut member = GzDecoder::new(file);
    match member.header() {
        Some(_) => Ok(()),
        None => member.read(&mut [0]).map(drop),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write as _;

    use flate2::bufread::MultiGzDecoder;
    use flate2::{Compression, GzBuilder};

    use super::*;

    fn member(name: &str, content: &[u8]) -> Vec<u8> {
        let builder = GzBuilder::new().filename(name).comment("c").extra("extra");
        let mut encoder = builder.write(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_follow_each_other() {
        let file = [
            member("a", b"first "),
            member("b", b""),
            member("", b"last"),
        ]
        .concat();
        // The reader supplies one byte at a time.
        let mut members = Members::new(io::BufReader::with_capacity(1, &*file)).unwrap();
        let mut content = String::new();
        members.read_to_string(&mut content).unwrap();
        assert_eq!(content, "first last");
        assert_eq!(members.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn damage_is_no_worse_than_where_checksums_are_looked_at() {
        let whole = [member("a", &[b'x'; 300]), member("b", b"last")].concat();
        let read = |file: &[u8]| {
            let mut content = Vec::new();
            Members::new(file)?.read_to_end(&mut content)?;
            io::Result::Ok(content)
        };
        let checked = |file: &[u8]| {
            let mut content = Vec::new();
            MultiGzDecoder::new(file).read_to_end(&mut content)?;
            io::Result::Ok(content)
        };
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(content) = checked(&damaged) {
                assert_eq!(read(&damaged).unwrap(), content, "bit {bit}");
            } else {
                // Decompression ends with or without an error. The diffID
                // detects the damage.
                let _ = read(&damaged);
            }
        }
        let first = member("a", &[b'x'; 300]).len();
        for length in (0..whole.len()).filter(|length| *length != first) {
            assert!(read(&whole[..length]).is_err(), "cut at {length}");
        }
    }
}
