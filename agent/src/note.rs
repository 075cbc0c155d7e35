//! Files in which the agent notes something for itself: bincode, after the
//! number of the format. What cannot be read was never noted.

use std::io;
use std::path::Path;

use bincode::{Decode, Encode};

/// Grows with every change of what is noted.
const FORMAT: u32 = 1;
/// What reading a note may allocate: it is no larger than what it was made of.
const CAP: usize = 1024 * 1024 * 1024;

/// What a file says; absent when it is not there, or says nothing that can be
/// understood.
pub(crate) fn read<T: Decode<()>>(path: &Path) -> io::Result<Option<T>> {
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let config = bincode::config::standard().with_limit::<CAP>();
    let decoded = bincode::decode_from_slice::<(u32, T), _>(&bytes, config);
    Ok(match decoded {
        Ok(((FORMAT, noted), used)) if used == bytes.len() => Some(noted),
        _ => None,
    })
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
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("note");
        assert_eq!(read::<u16>(&path).unwrap(), None);
        let whole = encode(&7_u16).unwrap();
        for (bytes, expected) in [
            (whole.clone(), Some(7)),
            ([&*whole, b"more"].concat(), None),
            (whole[..1].to_vec(), None),
            (b"{}".to_vec(), None),
            (vec![FORMAT.to_le_bytes()[0] + 1, 7], None),
        ] {
            fs_err::write(&path, bytes).unwrap();
            assert_eq!(read::<u16>(&path).unwrap(), expected);
        }
    }
}
