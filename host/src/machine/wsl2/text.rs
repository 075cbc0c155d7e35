//! Decodes the output of `wsl.exe`. Its own messages are UTF-16, unless it is
//! new and `WSL_UTF8` is set; the output of Linux programs comes as it is.

use std::collections::HashSet;

/// Decodes bytes as UTF-16 or UTF-8.
pub(super) fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xff\xfe").unwrap_or(bytes);
    let text = if is_utf16(bytes) {
        let units = bytes.chunks_exact(2);
        let units: Vec<u16> = units
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect();
        String::from_utf16_lossy(&units)
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    text.replace('\r', "")
}

/// Text in UTF-8 has no NUL. Text in UTF-16 has one in each space and digit.
fn is_utf16(bytes: &[u8]) -> bool {
    bytes.len().is_multiple_of(2) && bytes.contains(&0)
}

/// Finds the code of an error: the last part of `Wsl/…/CODE`. The words around
/// it depend on the language of Windows.
pub(super) fn code(said: &str) -> Option<&str> {
    let start = said.rfind("Wsl/")?;
    let code = said[start..].split_whitespace().next()?;
    code.rsplit('/').next()
}

/// Returns the text of a message without the line that has the code.
pub(super) fn message(said: &str) -> String {
    let lines = said.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.contains("Wsl/"));
    // Limit the text, because it goes into a message.
    lines
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(400)
        .collect()
}

/// Parses the output of `wsl --list --quiet`.
pub(super) fn names(said: &str) -> HashSet<String> {
    said.lines().map(|line| line.trim().to_owned()).collect()
}

/// Parses the number of bytes in `/: 12 GiB (12884901888 bytes) trimmed`, or
/// busybox's `/: 12884901888 bytes trimmed`. Returns 0 for other text.
pub(super) fn trimmed(said: &str) -> u64 {
    let Some((before, _)) = said.split_once(" bytes") else {
        return 0;
    };
    let number = before.rsplit(|c: char| !c.is_ascii_digit()).next();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn either_encoding_is_understood() {
        let text = "Es gibt keine Verteilung dieses Namens: löcald\r\nFehlercode: Wsl/Service/WSL_E_DISTRO_NOT_FOUND\r\n";
        let mut marked = b"\xff\xfe".to_vec();
        marked.extend(utf16(text));
        for bytes in [utf16(text), marked, text.as_bytes().to_vec()] {
            let said = decode(&bytes);
            assert_eq!(code(&said), Some("WSL_E_DISTRO_NOT_FOUND"));
            assert_eq!(
                message(&said),
                "Es gibt keine Verteilung dieses Namens: löcald"
            );
        }
        assert_eq!(decode(b"plain\n"), "plain\n");
        assert_eq!(code("something else"), None);
    }

    #[test]
    fn names_are_lines() {
        let said = decode(&utf16("Ubuntu\r\nlocald-old\r\n"));
        assert!(names(&said).contains("Ubuntu"));
        assert!(!names(&said).contains("locald"));
    }

    #[test]
    fn trimmed_bytes_are_read() {
        assert_eq!(
            trimmed("/: 1.5 GiB (1610612736 bytes) trimmed\n"),
            1_610_612_736
        );
        assert_eq!(trimmed("/: 4096 bytes trimmed\n"), 4096);
        assert_eq!(trimmed("fstrim: not permitted"), 0);
    }
}
