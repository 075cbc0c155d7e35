//! Matches patterns of `.dockerignore`: Go's `filepath.Match`, and `**` for any
//! number of directories. All patterns begin at the root.

use std::iter::Peekable;

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Glob(Vec<Token>);

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `[a-z]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`
    Star,
    /// `**` at the end: any characters.
    Rest,
    /// `**/`: any number of directories, also none. [`Token::Within`] follows
    /// it.
    Directories,
    Within,
}

/// Why a pattern is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadGlob {
    #[error("it has a `[` that does not begin a list of characters")]
    Class,
    #[error("it ends with a `\\`")]
    Escape,
}

impl Glob {
    /// Parses a normalised pattern.
    pub(super) fn parse(pattern: &[u8]) -> Result<Self, BadGlob> {
        let all: Vec<char> = characters(pattern).collect();
        let mut tokens = Vec::new();
        let mut left = all.iter().copied().peekable();
        while let Some(character) = left.next() {
            match character {
                '*' if left.next_if_eq(&'*').is_some() => {
                    let is_directory = left.next_if_eq(&'/').is_some();
                    // In Docker, `**x` matches every name that ends with x.
                    let is_suffix = tokens.is_empty()
                        && !is_directory
                        && !all[2..].iter().copied().any(is_special);
                    if left.peek().is_none() || is_suffix {
                        tokens.push(Token::Rest);
                    } else {
                        tokens.extend([Token::Directories, Token::Within]);
                    }
                }
                '*' => tokens.push(Token::Star),
                '?' => tokens.push(Token::One),
                '[' => tokens.push(class(&mut left)?),
                '\\' => tokens.push(Token::Char(left.next().ok_or(BadGlob::Escape)?)),
                plain => tokens.push(Token::Char(plain)),
            }
        }
        Ok(Self(tokens))
    }

    /// Whether the pattern matches a path. It follows all possible positions in
    /// the pattern at once, so that no pattern takes exponential time.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let end = self.0.len();
        let mut places = vec![false; end + 1];
        places[0] = true;
        self.skip(&mut places);
        for character in characters(path) {
            let mut next = vec![false; end + 1];
            for (place, token) in self
                .0
                .iter()
                .enumerate()
                .filter(|(place, _)| places[*place])
            {
                match token {
                    Token::Char(own) => next[place + 1] |= *own == character,
                    Token::One => next[place + 1] |= character != '/',
                    Token::Class { negated, ranges } => {
                        let within =
                            |(low, high): &(char, char)| (*low..=*high).contains(&character);
                        next[place + 1] |= ranges.iter().any(within) != *negated;
                    }
                    Token::Star => next[place] |= character != '/',
                    Token::Rest => next[place] = true,
                    Token::Directories => {}
                    Token::Within => {
                        next[place] = true;
                        next[place + 1] |= character == '/';
                    }
                }
            }
            self.skip(&mut next);
            places = next;
        }
        places[end]
    }

    /// Adds the positions after tokens that can match nothing.
    fn skip(&self, places: &mut [bool]) {
        for (place, token) in self.0.iter().enumerate() {
            if places[place] {
                match token {
                    Token::Star | Token::Rest => places[place + 1] = true,
                    Token::Directories => {
                        places[place + 1] = true;
                        places[place + 2] = true;
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Parses the rest of `[...]`.
fn class(left: &mut Peekable<impl Iterator<Item = char>>) -> Result<Token, BadGlob> {
    let negated = left.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && left.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = member(left)?;
        let high = match left.next_if_eq(&'-') {
            Some(_) => member(left)?,
            None => low,
        };
        if low > high {
            return Err(BadGlob::Class);
        }
        ranges.push((low, high));
    }
}

fn member(left: &mut impl Iterator<Item = char>) -> Result<char, BadGlob> {
    match left.next() {
        Some('\\') => left.next().ok_or(BadGlob::Escape),
        Some('-' | ']') | None => Err(BadGlob::Class),
        Some(character) => Ok(character),
    }
}

pub(super) const fn is_special(character: char) -> bool {
    matches!(character, '*' | '?' | '[' | ']' | '\\')
}

/// Returns the characters of a text. A byte that is not valid UTF-8 becomes a
/// character of its own, which equals only the same byte.
fn characters(bytes: &[u8]) -> impl Iterator<Item = char> + '_ {
    let own = |byte: &u8| char::from_u32(0x0010_ff00 + u32::from(*byte)).unwrap_or('\u{fffd}');
    bytes
        .utf8_chunks()
        .flat_map(move |chunk| chunk.valid().chars().chain(chunk.invalid().iter().map(own)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn patterns_mean_what_docker_means() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("a", &["a"], &["b", "a/b", "x/a"]),
            ("*.txt", &["a.txt", ".txt"], &["a/b.txt", "a.txt/b"]),
            ("a?c", &["abc", "aäc"], &["a/c", "ac"]),
            ("[a-c]x", &["bx"], &["dx", "x"]),
            ("[^a-c]x", &["dx"], &["bx"]),
            ("[!a]", &["!", "a"], &["b"]),
            ("{a,b}.txt", &["{a,b}.txt"], &["a.txt"]),
            ("a.c", &["a.c"], &["abc"]),
            (r"\*a\?", &["*a?"], &["xa?"]),
            ("**/*.py", &["a.py", "a/b.py", "a/b/c.py"], &["a.pyc"]),
            ("**/foo", &["foo", "a/foo"], &["xfoo", "foo/a"]),
            ("**.go", &["a.go", "a/b.go"], &["go"]),
            ("**", &["a", "a/b"], &[]),
            ("a/**", &["a/b", "a/b/c"], &["a", "ab"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb"]),
            ("a**/b", &["a/b", "ab"], &["ax/b/c"]),
            ("**a*", &["a", "x/ab"], &["xa"]),
        ];
        for (pattern, yes, no) in cases {
            let glob = Glob::parse(pattern.as_bytes()).unwrap();
            for path in *yes {
                assert!(glob.matches(path.as_bytes()), "{pattern} {path}");
            }
            for path in *no {
                assert!(!glob.matches(path.as_bytes()), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn bytes_are_what_they_are() {
        let glob = Glob::parse(b"caf\xe9*").unwrap();
        assert!(glob.matches(b"caf\xe9.txt"));
        assert!(!glob.matches(b"caf\xe8.txt"));
        assert!(!glob.matches("café.txt".as_bytes()));
    }

    #[test]
    fn a_bad_pattern_is_an_error() {
        for pattern in [
            "[", "[]", "[a", "[]a]", "[a-]", "[-a]", "[b-a]", "a\\", "[^]",
        ] {
            assert!(Glob::parse(pattern.as_bytes()).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let glob = Glob::parse("*a".repeat(50).as_bytes()).unwrap();
        let path = [vec![b'a'; 400], vec![b'b']].concat();
        assert!(!glob.matches(&path));
    }
}
