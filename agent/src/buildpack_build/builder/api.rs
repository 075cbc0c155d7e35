//! Parses versions of the Platform API.

use std::fmt;

/// A version that locald supports, 0.7 to 0.15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlatformApi {
    minor: u8,
}

const LOWEST: u8 = 7;
const HIGHEST: u8 = 15;

impl PlatformApi {
    /// 0.9: `SOURCE_DATE_EPOCH`, `analyzer -skip-layers`.
    pub const V0_9: Self = Self { minor: 9 };
    /// 0.12: `run.toml` instead of `stack.toml`.
    pub const V0_12: Self = Self { minor: 12 };
    /// 0.14: `restorer -run`.
    pub const V0_14: Self = Self { minor: 14 };
    /// 0.15: `CNB_EXEC_ENV`.
    pub const V0_15: Self = Self { minor: 15 };

    /// Parses a version; absent if locald does not support it.
    pub fn known(text: &str) -> Option<Self> {
        let minor = text.strip_prefix("0.")?.parse().ok()?;
        (LOWEST..=HIGHEST)
            .contains(&minor)
            .then_some(Self { minor })
    }

    /// All supported versions, for messages.
    pub fn range() -> String {
        format!("0.{LOWEST} to 0.{HIGHEST}")
    }
}

impl fmt::Display for PlatformApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0.{}", self.minor)
    }
}
