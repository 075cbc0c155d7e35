//! Encodes the agent's private files: bincode after a format number. A file
//! that cannot be decoded counts as missing.

use std::io;

use bincode::{Decode, Encode};

/// The format number. Increase it with every change of an encoded type.
const FORMAT: u32 = 2;
/// The most bytes that decoding may allocate.
const CAP: usize = 1024 * 1024 * 1024;

/// Decodes the content of a file; absent if that fails.
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    let config = bincode::config::standard().with_limit::<CAP>();
    match bincode::decode_from_slice(bytes, config) {
        Ok(((FORMAT, noted), used)) if used == bytes.len() => Some(noted),
        _ => None,
    }
}

/// Encodes a value as the content of a file.
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
