//! Calls the parsers of untrusted input, for the fuzz targets in `fuzz/`.

use crate::credential;
use crate::output::{Keep, sanitise};

/// Returns untrusted text as locald prints it: without colours, and with them.
pub fn printed(text: &str) -> [String; 2] {
    [sanitise(text, Keep::Text), sanitise(text, Keep::Colours)]
}

/// Whether a docker `config.json` has an account of a registry. Unreadable
/// content has none.
pub fn knows_account(bytes: &[u8], registry: &str) -> bool {
    credential::read(bytes, registry).is_ok_and(|account| account.is_some())
}
