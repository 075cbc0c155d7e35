//! Parses extended headers of POSIX ("PAX"): each has records about the next
//! entry.

use super::LayerError;

/// Keys and values, in the order of the header. An empty value means none.
#[derive(Debug, Default)]
pub(super) struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    /// Parses records of the form `LENGTH KEY=VALUE\n`. The length includes
    /// itself.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, LayerError> {
        let mut records = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (key, value, after) = split(rest).ok_or(LayerError::Refused {
                path: String::new(),
                reason: "a PAX header is malformed",
            })?;
            records.push((key.to_vec(), value.to_vec()));
            rest = after;
        }
        Ok(Self(records))
    }

    /// All records.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The value of a key; absent if it is empty. The last record applies.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        let mut values = self.iter().filter(|(it, _)| *it == key.as_bytes());
        let (_, value) = values.next_back()?;
        Some(value).filter(|value| !value.is_empty())
    }
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = number(&bytes[..space])?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

/// Parses a number in decimal digits.
pub(super) fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Parses seconds with an optional fraction. Returns seconds and nanoseconds;
/// the nanoseconds are never negative.
pub(super) fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    match digits.parse().ok()? {
        0 => Some((seconds, 0)),
        nanoseconds if is_negative => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        nanoseconds => Some((seconds, nanoseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fractions_and_may_be_negative() {
        for (text, expected) in [
            ("12", Some((12, 0))),
            ("12.", Some((12, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.0000000019", Some((12, 1))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-0.5", Some((-1, 500_000_000))),
            ("-3", Some((-3, 0))),
            ("", None),
            ("1e3", None),
            ("1.5.5", None),
            ("1.-5", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "{text:?}");
        }
    }
}
