//! Encodes the agent's private files: bincode after a format number. A file
//! that cannot be decoded counts as missing.

use std::io;

use bincode::{Decode, Encode};

/// Grows with every change of what is noted.
const FORMAT: u32 = 2;
/// What reading a note may allocate: it is no larger than what it was made of.
const CAP: usize = 1024 * 1024 * 1024;

/// What a file says; absent when that cannot be understood.
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    let config = bincode::config::standard().with_limit::<CAP>();
    match bincode::decode_from_slice(bytes, config) {
        Ok(((FORMAT, noted), used)) if used == bytes.len() => Some(noted),
        _ => None,
    }
}

/// The bytes of a file that says something.
pub(crate) fn encode<T: Encode>(noted: &T) -> io::Result<Vec<u8>> {
    bincode::encode_to_vec((FORMAT, noted), bincode::config::standard()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_is_no_note_says_nothing() {
        let whole = encode(&7_u16).unwrap();
        for (bytes, expected) in [
            (whole.clone(), Some(7)),
            ([&*whole, b"more"].concat(), None),
            (whole[..1].to_vec(), None),
            (Vec::new(), None),
            (b"{}".to_vec(), None),
            (vec![FORMAT.to_le_bytes()[0] + 1, 7], None),
        ] {
            assert_eq!(decode::<u16>(&bytes), expected);
        }
    }
}
