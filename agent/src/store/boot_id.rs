//! Identifies this boot of the machine. Files that an earlier boot wrote
//! without a sync may be torn.

use std::io;
use std::sync::OnceLock;

/// Where the kernel names it: random(4).
pub(crate) const ID: &str = "/proc/sys/kernel/random/boot_id";

/// Its name, which no other start has.
pub(crate) fn id() -> io::Result<&'static str> {
    static KNOWN: OnceLock<String> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known);
    }
    let text = fs_err::read_to_string(ID)?;
    Ok(KNOWN.get_or_init(|| text.trim().to_owned()))
}
