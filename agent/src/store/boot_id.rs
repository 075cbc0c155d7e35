//! Identifies this boot of the machine. Files that an earlier boot wrote
//! without a sync may be torn.

use std::io;
use std::sync::OnceLock;

/// The file in which the kernel publishes the id: random(4).
pub(crate) const ID: &str = "/proc/sys/kernel/random/boot_id";

/// The id of this boot. No other boot has the same id.
pub(crate) fn id() -> io::Result<&'static str> {
    static KNOWN: OnceLock<String> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known);
    }
    let text = fs_err::read_to_string(ID)?;
    Ok(KNOWN.get_or_init(|| text.trim().to_owned()))
}
