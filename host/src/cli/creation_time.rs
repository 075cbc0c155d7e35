//! Parses `--creation-time`.

use std::str::FromStr;

use jiff::Timestamp;

/// `now`, seconds since the epoch, or an RFC 3339 date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreationTime {
    /// The time of the build.
    Now,
    /// A time in seconds since the epoch.
    At(u64),
}

/// The text has neither form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreationTimeError {
    #[error("it is not a valid time: use `now`, seconds since 1970, or 2026-01-31T12:00:00Z")]
    Syntax(#[source] jiff::Error),
    #[error("it is before 1970")]
    TooEarly,
}

impl CreationTime {
    /// Returns the seconds since the epoch.
    pub(crate) fn seconds(self) -> u64 {
        match self {
            Self::Now => u64::try_from(Timestamp::now().as_second()).unwrap_or_default(),
            Self::At(seconds) => seconds,
        }
    }
}

impl FromStr for CreationTime {
    type Err = CreationTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Ok(seconds) = text.parse() {
            return Ok(Self::At(seconds));
        }
        let date: Timestamp = text.parse().map_err(CreationTimeError::Syntax)?;
        u64::try_from(date.as_second())
            .map(Self::At)
            .map_err(|_| CreationTimeError::TooEarly)
    }
}

#[cfg(test)]
mod tests {
    use super::{CreationTime, CreationTimeError};

    #[test]
    fn three_forms_are_read() {
        let cases = [
            ("now", CreationTime::Now),
            ("0", CreationTime::At(0)),
            ("1700000000", CreationTime::At(1_700_000_000)),
            ("2023-11-14T22:13:20Z", CreationTime::At(1_700_000_000)),
            ("2023-11-14T23:13:20+01:00", CreationTime::At(1_700_000_000)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<CreationTime>().ok(), Some(expected), "{text}");
        }
    }

    #[test]
    fn others_are_refused() {
        for text in ["", "yesterday", "-5", "2023-11-14"] {
            assert!(text.parse::<CreationTime>().is_err(), "{text}");
        }
        let early = "1969-12-31T00:00:00Z".parse::<CreationTime>();
        assert!(matches!(early, Err(CreationTimeError::TooEarly)));
    }
}
