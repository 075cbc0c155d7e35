//! Declares `locald store` and `locald prune`.

use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::settings::Size;

/// Show what the store takes, and whether it is sound
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  locald store                     what takes the space
  locald store verify --repair     fetch again what is damaged")]
pub(crate) struct StoreOptions {
    #[command(subcommand)]
    pub(crate) command: Option<StoreCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    Verify(VerifyOptions),
}

/// Read everything that is stored, and compare it with its digest
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct VerifyOptions {
    /// Mend what is damaged: fetch it again, make it again of what is there,
    /// find the names of images again. Asks before an image is given up
    #[arg(long)]
    pub(crate) repair: bool,
    /// Give up images that cannot be mended, without a question
    #[arg(short, long, requires = "repair")]
    pub(crate) yes: bool,
}

/// Remove what is not needed
///
/// Without a limit that is what no image needs. With one, also builders, run
/// images and caches of projects, the longest unused first: a later build
/// fetches or makes them again. Images that you built, tagged or pulled stay.
/// What builds and containers use is never removed.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = "\
Examples:
  locald prune --dry-run --unused-for 30d
  locald prune --keep 10GiB --yes")]
pub(crate) struct PruneOptions {
    /// Only tell what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also what builds have not used for so long: 12h, 30d
    #[arg(long, value_name = "AGE")]
    pub(crate) unused_for: Option<Age>,
    /// Also so much that the store takes no more than this
    #[arg(long, value_name = "SIZE")]
    pub(crate) keep: Option<Size>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// A time in hours or days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age {
    pub(crate) seconds: u64,
}

/// A text is no age.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no age: write it like 12h or 30d")]
pub(crate) struct BadAge;

impl FromStr for Age {
    type Err = BadAge;

    fn from_str(text: &str) -> Result<Self, BadAge> {
        let (number, unit) = text
            .split_at_checked(text.len().saturating_sub(1))
            .ok_or(BadAge)?;
        let unit: u64 = match unit {
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(BadAge),
        };
        let number: u64 = number.parse().map_err(|_| BadAge)?;
        let seconds = number.checked_mul(unit).ok_or(BadAge)?;
        Ok(Self { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_units() {
        assert_eq!("12h".parse(), Ok(Age { seconds: 43_200 }));
        assert_eq!("0d".parse(), Ok(Age { seconds: 0 }));
        for text in ["", "d", "3", "3w", "-1d", "ü", "99999999999999999999d"] {
            assert_eq!(text.parse::<Age>(), Err(BadAge), "{text}");
        }
    }
}
