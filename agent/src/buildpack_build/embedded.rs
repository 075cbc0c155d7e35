//! Holds the buildpacks that locald itself contains, so that a builder does not
//! need them.

use std::path::{Path, PathBuf};

use crate::buildpack_build::builder::BuildpackInfo;
use crate::store::{Store, StoreError};

/// A buildpack in this program.
#[derive(Debug)]
pub struct Embedded {
    /// Its `buildpack.toml`.
    descriptor: &'static str,
    /// A static program, which is called `build` or `detect`.
    program: &'static [u8],
    digest: &'static str,
    id: &'static str,
    /// A source with any of these at its root is one for the buildpack.
    files: &'static [&'static str],
}

/// Cargo projects.
pub static RUST: Embedded = Embedded {
    descriptor: include_str!("../../../buildpacks/rust/buildpack.toml"),
    program: include_bytes!(env!("LOCALD_RUST_BUILDPACK_PATH")),
    digest: env!("LOCALD_RUST_BUILDPACK_DIGEST"),
    id: "locald/rust",
    files: &["Cargo.toml", "Cargo.lock"],
};

impl Embedded {
    /// Whether it may want to build a source.
    pub fn is_for(&self, source: &Path) -> bool {
        let is_file = |name: &&str| {
            let metadata = fs_err::symlink_metadata(source.join(name));
            metadata.is_ok_and(|metadata| metadata.is_file())
        };
        self.files.iter().any(is_file)
    }

    /// Whether `ID` or `ID@VERSION` is its name.
    pub fn is_called(&self, name: &str) -> bool {
        let (id, version) = name.split_once('@').unwrap_or((name, ""));
        id == self.id && (version.is_empty() || version == env!("CARGO_PKG_VERSION"))
    }

    /// Its name.
    pub fn info(&self) -> BuildpackInfo {
        BuildpackInfo {
            id: self.id.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Over all that it is, in hexadecimal digits.
    pub fn digest(&self) -> &'static str {
        self.digest
    }

    /// Where the store has its directory, which is made when it is missing.
    pub fn place(&self, store: &Store) -> Result<PathBuf, StoreError> {
        let parent = store.root().join("embedded");
        let path = parent.join(self.digest);
        if path.is_dir() {
            return Ok(path);
        }
        let temporary = store.temporary()?;
        let made = temporary.path().join("buildpack");
        self.write(&made)
            .and_then(|()| fs_err::create_dir_all(&parent))
            .and_then(|()| match fs_err::rename(&made, &path) {
                // Another request was faster.
                Err(_) if path.is_dir() => Ok(()),
                renamed => renamed,
            })
            .map_err(|source| StoreError::io("write", &path, source))?;
        Ok(path)
    }

    fn write(&self, directory: &Path) -> std::io::Result<()> {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let bin = directory.join("bin");
        fs_err::create_dir_all(&bin)?;
        fs_err::write(directory.join("buildpack.toml"), self.descriptor)?;
        fs_err::write(bin.join("build"), self.program)?;
        symlink("build", bin.join("detect"))?;
        // Whatever the umask is: the builder's user reads it.
        let modes = [
            (directory, 0o755),
            (&bin, 0o755),
            (&bin.join("build"), 0o755),
        ];
        for (path, mode) in modes {
            fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        let descriptor = std::fs::Permissions::from_mode(0o644);
        fs_err::set_permissions(directory.join("buildpack.toml"), descriptor)?;
        fs_err::File::open(bin.join("build"))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_descriptor_has_the_name_that_the_order_says() {
        let table: toml::Table = RUST.descriptor.parse().unwrap();
        let buildpack = &table["buildpack"];
        let info = RUST.info();
        assert_eq!(buildpack["id"].as_str(), Some(&*info.id));
        assert_eq!(buildpack["version"].as_str(), Some(&*info.version));
        assert!(RUST.is_called("locald/rust"));
        assert!(!RUST.is_called("locald/rust@0.0.1"));
    }

    #[test]
    fn the_digest_is_of_what_is_embedded() {
        let mut hasher = crate::images::digest::Hasher::new();
        hasher.update(RUST.descriptor.as_bytes());
        hasher.update(RUST.program);
        assert_eq!(RUST.digest(), hasher.finish().hex());
    }

    #[test]
    fn the_program_is_static() {
        let needs_an_interpreter = |program: &[u8]| {
            let loader: &[u8] = b"/ld-linux";
            program
                .windows(loader.len())
                .take(4096)
                .any(|part| part == loader)
        };
        assert!(RUST.program.starts_with(b"\x7fELF"));
        assert!(!needs_an_interpreter(RUST.program));
    }

    #[test]
    fn cargo_projects_are_for_it() {
        let source = tempfile::tempdir().unwrap();
        assert!(!RUST.is_for(source.path()));
        fs_err::write(source.path().join("Cargo.toml"), "").unwrap();
        assert!(RUST.is_for(source.path()));
    }
}
