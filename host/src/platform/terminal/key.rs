//! Encodes keys as the bytes that a Unix terminal sends.

use crossterm_winapi::KeyEventRecord;

/// `VK_MENU`. Its release carries a character that the user entered by number.
const ALT: u16 = 0x12;
/// `VK_SPACE`.
const SPACE: u16 = 0x20;
/// `RIGHT_ALT_PRESSED`, `LEFT_ALT_PRESSED`.
const ALT_PRESSED: u32 = 0x1 | 0x2;
/// `RIGHT_CTRL_PRESSED`, `LEFT_CTRL_PRESSED`.
const CTRL_PRESSED: u32 = 0x4 | 0x8;

/// A key event.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Key {
    is_down: bool,
    /// The number of repetitions.
    count: u16,
    /// The virtual key code. Zero if the console has translated the key to a
    /// sequence.
    code: u16,
    /// The UTF-16 unit. Zero if there is none.
    unit: u16,
    alt: bool,
    ctrl: bool,
}

impl From<&KeyEventRecord> for Key {
    fn from(event: &KeyEventRecord) -> Self {
        Self {
            is_down: event.key_down,
            count: event.repeat_count.max(1),
            code: event.virtual_key_code,
            unit: event.u_char,
            alt: event.control_key_state.has_state(ALT_PRESSED),
            ctrl: event.control_key_state.has_state(CTRL_PRESSED),
        }
    }
}

impl Key {
    /// Whether Alt modifies the key. Alt with Ctrl is `AltGr`, which selects a
    /// character.
    fn is_meta(self) -> bool {
        self.is_down && self.code != 0 && self.alt && !self.ctrl
    }
}

/// Decodes a sequence of key events.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

impl Keys {
    /// Adds the bytes of an event, if it has any.
    pub(super) fn press(&mut self, key: Key, bytes: &mut Vec<u8>) {
        let is_entered = key.code == ALT && key.unit != 0;
        if key.is_down || is_entered {
            (0..key.count).for_each(|_| self.add(key, bytes));
        }
    }

    fn add(&mut self, key: Key, bytes: &mut Vec<u8>) {
        if key.unit == 0 {
            bytes.extend_from_slice(sequence(key));
            return;
        }
        let units = self.high.take().into_iter().chain([key.unit]);
        for character in char::decode_utf16(units) {
            match character {
                Ok(character) => {
                    if key.is_meta() {
                        bytes.push(0x1b);
                    }
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Err(half) if half.unpaired_surrogate() < 0xdc00 => {
                    self.high = Some(half.unpaired_surrogate());
                }
                Err(_) => {}
            }
        }
    }
}

/// Returns the sequence of a key without a character, for a console that does
/// not translate keys itself (ECMA-48 and xterm).
fn sequence(key: Key) -> &'static [u8] {
    match key.code {
        0x21 => b"\x1b[5~",
        0x22 => b"\x1b[6~",
        0x23 => b"\x1b[F",
        0x24 => b"\x1b[H",
        0x25 => b"\x1b[D",
        0x26 => b"\x1b[A",
        0x27 => b"\x1b[C",
        0x28 => b"\x1b[B",
        0x2d => b"\x1b[2~",
        0x2e => b"\x1b[3~",
        SPACE if key.ctrl => b"\0",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: u16, unit: u16) -> Key {
        Key {
            is_down: true,
            count: 1,
            code,
            unit,
            ..Key::default()
        }
    }

    fn typed(events: &[Key]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut keys = Keys::default();
        events.iter().for_each(|key| keys.press(*key, &mut bytes));
        bytes
    }

    #[test]
    fn keys_are_what_a_terminal_sends() {
        let a = key(0x41, 0x61);
        let released = Key {
            is_down: false,
            ..a
        };
        let thrice = Key { count: 3, ..a };
        let alt = Key { alt: true, ..a };
        let alt_gr = Key { ctrl: true, ..alt };
        assert_eq!(typed(&[a, released]), b"a");
        assert_eq!(typed(&[thrice]), b"aaa");
        assert_eq!(typed(&[alt]), b"\x1ba");
        assert_eq!(typed(&[alt_gr]), b"a");
        assert_eq!(typed(&[key(0x5a, 0x1a)]), b"\x1a");
        assert_eq!(typed(&[key(0x26, 0)]), b"\x1b[A");
        assert_eq!(typed(&[key(0x10, 0)]), b"");
        let space = Key {
            ctrl: true,
            ..key(SPACE, 0)
        };
        assert_eq!(typed(&[space]), b"\0");
    }

    #[test]
    fn pairs_of_surrogates_are_one_character() {
        assert_eq!(typed(&[key(0, 0xd83d), key(0, 0xde00)]), "😀".as_bytes());
        assert_eq!(typed(&[key(0, 0xde00)]), b"");
    }
}
