//! Measures a disk file. A file with holes takes fewer bytes than its length.

#[cfg(unix)]
mod imp {
    //! Unix reports the number of blocks.

    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    /// Bytes in a block of `stat`.
    const BLOCK: u64 = 512;

    pub(in crate::machine) fn usage(path: &Path) -> u64 {
        fs_err::metadata(path).map_or(0, |metadata| metadata.blocks() * BLOCK)
    }
}
#[cfg(not(unix))]
mod imp {
    //! On Windows, this module knows only the length.

    use std::path::Path;

    pub(in crate::machine) fn usage(path: &Path) -> u64 {
        fs_err::metadata(path).map_or(0, |metadata| metadata.len())
    }
}

pub(super) use imp::usage;
