//! Decodes bytes as text for a Windows console, which accepts UTF-8 only.

/// Decodes text that arrives in parts.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// The first bytes of an incomplete character.
    rest: Vec<u8>,
}

impl Text {
    /// Adds bytes. Returns the text up to the last complete character.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let mut text = String::new();
        let mut end = self.rest.len();
        for chunk in self.rest.utf8_chunks() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            if invalid.is_empty() {
                continue;
            }
            let is_last = invalid.as_ptr_range().end == self.rest.as_ptr_range().end;
            if is_last && is_beginning(invalid) {
                end -= invalid.len();
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.rest.drain(..end);
        text
    }
}

/// Whether the bytes are the start of a longer character.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_may_come_in_pieces() {
        let mut text = Text::default();
        let said: String = "aü€😀".bytes().map(|byte| text.push(&[byte])).collect();
        assert_eq!(said, "aü€😀");
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        let mut text = Text::default();
        assert_eq!(text.push(b"a\xffb\xc3"), "a\u{fffd}b");
        assert_eq!(text.push(b"x"), "\u{fffd}x");
        assert_eq!(text.push(b"\x1b[1m"), "\x1b[1m");
    }
}
