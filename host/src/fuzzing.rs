//! Calls the parsers of untrusted input, for the fuzz targets in `fuzz/`.

use crate::credential;
use crate::output::{Keep, sanitise};

/// Text of others as it is printed: without colours, and with them.
pub fn printed(text: &str) -> [String; 2] {
    [sanitise(text, Keep::Text), sanitise(text, Keep::Colours)]
}

/// Whether the content of docker's `config.json` has the account of a
/// registry; what cannot be read has none.
pub fn knows_account(bytes: &[u8], registry: &str) -> bool {
    credential::read(bytes, registry).is_ok_and(|account| account.is_some())
}
