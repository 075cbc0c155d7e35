//! Finds the root file system of the distribution, which `vm-images/wsl` makes.

use std::path::{Path, PathBuf};

use super::WslError;

/// The name of the file.
const FILE: &str = "wsl.tar.gz";
/// The environment variable with another folder of guests.
const VARIABLE: &str = "LOCALD_GUEST";

/// Finds the root file system. Precedence: the folder of the environment, that
/// of the configuration, locald's own.
pub(super) fn root_file_system(configured: Option<&Path>) -> Result<PathBuf, WslError> {
    let named = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty());
    let named = named.map(PathBuf::from).or(configured.map(Path::to_owned));
    let folder = match named {
        Some(folder) => folder,
        None => own()?,
    };
    let file = std::path::absolute(folder.join(FILE)).map_err(WslError::io("find a folder"))?;
    if file.is_file() {
        Ok(file)
    } else {
        Err(WslError::NoRoot(file))
    }
}

fn own() -> Result<PathBuf, WslError> {
    let program = std::env::current_exe().map_err(WslError::io("find this program"))?;
    Ok(program.parent().unwrap_or(Path::new("")).join("guest"))
}
