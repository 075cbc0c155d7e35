//! Unix counts blocks.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes of a block that `stat` counts.
const BLOCK: u64 = 512;

pub(in crate::machine) fn usage(path: &Path) -> u64 {
    fs_err::metadata(path).map_or(0, |metadata| metadata.blocks() * BLOCK)
}
