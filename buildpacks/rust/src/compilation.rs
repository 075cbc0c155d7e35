//! Runs Cargo, and keeps the result unchanged until it is copied into the
//! image.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cargo::{Artefacts, Cargo, Program};
use crate::error::BuildError;
use crate::freshness;
use crate::selection::Selection;
use crate::settings::Table;
use crate::target::{self, Locked};

/// Artefacts with locks, so that no other Cargo replaces the programs.
#[derive(Debug)]
pub(crate) struct Compilation {
    pub(crate) artefacts: Artefacts,
    /// Cargo's output directories of this build: `…/release`.
    pub(crate) roots: Vec<PathBuf>,
    /// Locks by output directory.
    pub(crate) locks: BTreeMap<PathBuf, Locked>,
}

/// Builds the selected targets.
pub(crate) fn compile(
    cargo: &Cargo,
    selection: &Selection,
    settings: &Table,
    target: &Path,
    app: &Path,
) -> Result<Compilation, BuildError> {
    let failed = || BuildError::io("look for what was compiled in", target);
    loop {
        let since = SystemTime::now();
        let built = cargo.build(selection, settings);
        let ended = SystemTime::now();
        // A failed build has compiled units, too.
        freshness::of_compiled(&target::roots(target), app, since).map_err(failed())?;
        let artefacts = built?;
        freshness::of_scripts(&artefacts, since).map_err(failed())?;
        let roots = roots(&artefacts, target);
        let locks = lock(&artefacts, &roots).map_err(failed())?;
        let replaced = |program: &Program| changed(&program.path).is_some_and(|time| time > ended);
        if !artefacts.programs.iter().any(replaced) {
            return Ok(Compilation {
                artefacts,
                roots,
                locks,
            });
        }
        // A shell's Cargo has replaced a program before this build had the
        // lock.
    }
}

fn roots(artefacts: &Artefacts, target: &Path) -> Vec<PathBuf> {
    let has_files = |root: &PathBuf| {
        let mut files = artefacts.files.iter();
        files.any(|file| file.starts_with(root))
    };
    let mut roots = target::roots(target);
    roots.retain(has_files);
    roots
}

fn lock(artefacts: &Artefacts, roots: &[PathBuf]) -> std::io::Result<BTreeMap<PathBuf, Locked>> {
    let mut locks = BTreeMap::new();
    for root in roots {
        let mut programs = artefacts.programs.iter();
        if programs.any(|program| program.path.starts_with(root)) {
            locks.insert(root.clone(), Locked::wait(root)?);
        }
    }
    Ok(locks)
}

/// The time at which a file was last changed or moved.
fn changed(path: &Path) -> Option<SystemTime> {
    let metadata = fs_err::metadata(path).ok()?;
    let seconds = u64::try_from(metadata.ctime()).ok()?;
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).ok()?;
    Some(UNIX_EPOCH + Duration::new(seconds, nanoseconds))
}
