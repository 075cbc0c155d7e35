//! Removes control sequences from text of images, buildpacks and registries, so
//! that it cannot steer the terminal.

/// Which control sequences stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// None.
    Text,
    /// SGR sequences: colours (ECMA-48 8.3.117).
    Colours,
}

/// Removes escape sequences and control characters.
pub(crate) fn clean(text: &str) -> String {
    sanitise(text, Keep::Text)
}

/// Removes escape sequences and control characters, except colours if `keep`
/// allows them. The text ends with a reset if it has colours.
pub(crate) fn sanitise(text: &str, keep: Keep) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut coloured = false;
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => match rest.next() {
                Some('[') => coloured |= control_sequence(&mut rest, keep, &mut kept),
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut rest),
                Some(' '..='/') => skip_short(&mut rest),
                _ => {}
            },
            '\u{9b}' => coloured |= control_sequence(&mut rest, keep, &mut kept),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\t' => kept.push('\t'),
            // A line feed becomes a space, so that one message stays one line.
            '\n' => kept.push(' '),
            character if character.is_control() || is_bidirectional(character) => {}
            character => kept.push(character),
        }
    }
    if coloured {
        kept.push_str("\u{1b}[0m");
    }
    kept
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Reads a control sequence after its introducer, and keeps a colour if
/// allowed. Returns whether it did.
fn control_sequence(rest: &mut Rest<'_>, keep: Keep, kept: &mut String) -> bool {
    let mut parameters = String::new();
    while let Some(character) = rest.next_if(|character| matches!(character, ' '..='?')) {
        parameters.push(character);
    }
    let end = rest.next_if(|character| matches!(character, '@'..='~'));
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b';' || byte == b':';
    if keep == Keep::Colours && end == Some('m') && parameters.bytes().all(plain) {
        kept.push_str("\u{1b}[");
        kept.push_str(&parameters);
        kept.push('m');
        return true;
    }
    false
}

/// Skips a string, such as a title or a hyperlink, up to its terminator.
fn skip_string(rest: &mut Rest<'_>) {
    while let Some(character) = rest.next() {
        match character {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                rest.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Skips a short sequence: intermediate characters and a final one.
fn skip_short(rest: &mut Rest<'_>) {
    while rest
        .next_if(|character| matches!(character, ' '..='/'))
        .is_some()
    {}
    rest.next_if(|character| matches!(character, '0'..='~'));
}

/// Whether a character changes the order in which text is shown.
fn is_bidirectional(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        let cases = [
            ("plain\ttext", "plain\ttext"),
            ("\u{1b}[2J\u{1b}[Hgone", "gone"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}Pdevice\u{1b}\\x", "x"),
            ("\u{1b}(Bx\u{1b}7y\u{1b}cz", "xyz"),
            ("\u{9b}2Jx\u{9d}0;t\u{9c}y", "xy"),
            ("a\rb\u{8}c\u{7f}\0d", "abcd"),
            ("two\nlines", "two lines"),
            ("ab\u{202e}cd", "abcd"),
            ("end\u{1b}", "end"),
            ("end\u{1b}[12", "end"),
            ("end\u{1b}]0;never", "end"),
            ("ünïcödé 日本", "ünïcödé 日本"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn colours_stay_when_they_may_and_end_with_the_text() {
        let coloured = sanitise("\u{1b}[1;31mred\u{1b}[2K", Keep::Colours);
        assert_eq!(coloured, "\u{1b}[1;31mred\u{1b}[0m");
        assert_eq!(sanitise("\u{1b}[?31m", Keep::Colours), "");
        assert_eq!(sanitise("plain", Keep::Colours), "plain");
    }
}
