//! Recognises archives that hold a project.

use std::io::Read as _;
use std::path::Path;

/// Extensions of zip archives.
const ENDINGS: [&str; 4] = ["zip", "jar", "war", "ear"];
/// The first bytes of most archives.
const MAGIC: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Whether a path is an archive, by its first bytes or its extension.
pub(crate) fn is_archive(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let ending = path.extension().and_then(|it| it.to_str());
    let mut start = [0; 4];
    let begins = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    ending.is_some_and(|it| ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(it)))
        || (begins.is_ok() && MAGIC.contains(&&start[..]))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn archives_are_known_by_name_or_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs_err::write(&path, content).unwrap();
            is_archive(&path)
        };
        // An executable archive begins with a script.
        assert!(file("app.jar", b"#!/bin/bash\n"));
        assert!(file("APP.ZIP", b""));
        assert!(file("shop", b"PK\x03\x04more"));
        assert!(!file("app", b"\x7fELF"));
        assert!(!is_archive(folder.path()));
        assert!(!is_archive(&folder.path().join("none.zip")));
    }
}
