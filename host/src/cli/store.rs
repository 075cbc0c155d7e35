//! Declares `locald store` and `locald prune`.

use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::settings::Size;

/// Show what takes space in the store, or verify it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  locald store                     what takes the space
  locald store verify --repair     fetch damaged data again")]
pub(crate) struct StoreOptions {
    #[command(subcommand)]
    pub(crate) command: Option<StoreCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    Verify(VerifyOptions),
}

/// Compare all stored data with its digests
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct VerifyOptions {
    /// Repair damage: fetch data again, extract layers again, restore the names
    /// of images. Asks before it gives up an image
    #[arg(long)]
    pub(crate) repair: bool,
    /// Give up images that it cannot repair, without asking
    #[arg(short, long, requires = "repair")]
    pub(crate) yes: bool,
}

/// Remove unneeded data from the store
///
/// Without a limit, it removes data that no image needs. With a limit, it also
/// removes builders, run images and caches of projects, the longest unused
/// first; a later build fetches or makes them again. Images that you built,
/// tagged or pulled stay. It never removes data in use.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = "\
Examples:
  locald prune --dry-run --unused-for 30d
  locald prune --keep 10GiB --yes")]
pub(crate) struct PruneOptions {
    /// Only show what it would remove
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also remove data that no build has used for this time: 12h, 30d
    #[arg(long, value_name = "AGE")]
    pub(crate) unused_for: Option<Age>,
    /// Also remove data until the store takes at most this size
    #[arg(long, value_name = "SIZE")]
    pub(crate) keep: Option<Size>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// An age in hours or days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age {
    pub(crate) seconds: u64,
}

/// The text is not a valid age.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a valid age: write it like 12h or 30d")]
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
