//! Stores the size that `vm resize` sets, beside the machine.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::settings::Shape;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Size {
    cpus: u32,
    memory: u64,
    disk: u64,
}

/// Returns the configured shape with the size that `vm resize` set.
pub(super) fn resized(file: &Path, shape: Shape) -> Shape {
    let size = fs_err::read(file).ok();
    match size.and_then(|bytes| serde_json::from_slice::<Size>(&bytes).ok()) {
        Some(size) => Shape {
            cpus: size.cpus,
            memory: size.memory,
            disk: size.disk,
            ..shape
        },
        None => shape,
    }
}

/// Stores a size.
pub(super) fn save(file: &Path, shape: &Shape) -> io::Result<()> {
    let (cpus, memory, disk) = (shape.cpus, shape.memory, shape.disk);
    let bytes = serde_json::to_vec(&Size { cpus, memory, disk })?;
    if let Some(folder) = file.parent() {
        fs_err::create_dir_all(folder)?;
    }
    fs_err::write(file, bytes)
}
