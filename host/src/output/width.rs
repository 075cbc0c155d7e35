//! Measures text in terminal columns.

use unicode_width::UnicodeWidthChar as _;

/// Marks a cut line.
const MORE: char = '…';
/// The variation selector for the wide form of the character before it.
const WIDE_FORM: char = '\u{fe0f}';
/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// Cuts a line of text and colours to at most `columns`. Tabs become spaces.
pub(super) fn fit(line: &str, columns: usize) -> String {
    let mut fitting = String::with_capacity(line.len());
    // `room` is the length in bytes up to which the mark still fits.
    let (mut used, mut room) = (0, 0);
    let mut in_colour = false;
    for character in line.chars() {
        in_colour |= character == '\u{1b}';
        if in_colour {
            fitting.push(character);
            in_colour = character != 'm';
            continue;
        }
        let width = width(character, used);
        if used + width > columns {
            return cut(fitting, room, columns);
        }
        used += width;
        if character == '\t' {
            fitting.extend(std::iter::repeat_n(' ', width));
        } else {
            fitting.push(character);
        }
        if used < columns {
            room = fitting.len();
        }
    }
    fitting
}

/// Returns the width of a character at a column. Terminals differ in the width
/// of joined characters. So each counts by itself, which is the maximum.
fn width(character: char, column: usize) -> usize {
    match character {
        '\t' => TAB - column % TAB,
        WIDE_FORM => 1,
        character => character.width().unwrap_or(0),
    }
}

fn cut(mut line: String, room: usize, columns: usize) -> String {
    let coloured = line.contains('\u{1b}');
    line.truncate(room);
    if columns > 0 {
        line.push(MORE);
    }
    if coloured {
        line.push_str("\u{1b}[0m");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_line_takes_no_more_columns_than_there_are() {
        let cases = [
            ("short", 5, "short"),
            ("longer", 5, "long…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("a\tb", 9, "a       b"),
            ("\tb", 8, "…"),
            ("e\u{301}e\u{301}e\u{301}", 3, "e\u{301}e\u{301}e\u{301}"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("👩\u{200d}👩\u{200d}👧!", 6, "👩\u{200d}👩\u{200d}…"),
            ("☀\u{fe0f}☀\u{fe0f}", 3, "☀\u{fe0f}…"),
            ("any", 1, "…"),
            ("any", 0, ""),
            ("", 0, ""),
        ];
        for (line, columns, expected) in cases {
            assert_eq!(fit(line, columns), expected, "{line:?} in {columns}");
        }
    }

    #[test]
    fn colours_take_no_room_and_end_with_the_line() {
        let red = "\u{1b}[31mred\u{1b}[0m";
        assert_eq!(fit(red, 3), red);
        assert_eq!(fit(red, 2), "\u{1b}[31mr…\u{1b}[0m");
    }
}
