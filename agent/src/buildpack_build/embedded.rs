//! Holds the buildpacks in locald's own program, so that a builder need not
//! have them.

use std::path::{Path, PathBuf};

use crate::buildpack_build::builder::BuildpackInfo;
use crate::store::{Store, StoreError};

/// A buildpack in locald's own program.
#[derive(Debug)]
pub struct Embedded {
    /// The content of its `buildpack.toml`.
    descriptor: &'static str,
    /// A static program, installed as `build` and as `detect`.
    program: &'static [u8],
    digest: &'static str,
    id: &'static str,
    /// The buildpack is for sources with any of these files at the root.
    files: &'static [&'static str],
}

/// The buildpack for Cargo projects.
pub static RUST: Embedded = Embedded {
    descriptor: include_str!("../../../buildpacks/rust/buildpack.toml"),
    program: include_bytes!(env!("LOCALD_RUST_BUILDPACK_PATH")),
    digest: env!("LOCALD_RUST_BUILDPACK_DIGEST"),
    id: "locald/rust",
    files: &["Cargo.toml", "Cargo.lock"],
};

impl Embedded {
    /// Whether the buildpack may be able to build a source.
    pub fn is_for(&self, source: &Path) -> bool {
        let is_file = |name: &&str| {
            let metadata = fs_err::symlink_metadata(source.join(name));
            metadata.is_ok_and(|metadata| metadata.is_file())
        };
        self.files.iter().any(is_file)
    }

    /// Whether `name`, as `ID` or `ID@VERSION`, names this buildpack.
    pub fn is_called(&self, name: &str) -> bool {
        let (id, version) = name.split_once('@').unwrap_or((name, ""));
        id == self.id && (version.is_empty() || version == env!("CARGO_PKG_VERSION"))
    }

    /// The id and version of the buildpack.
    pub fn info(&self) -> BuildpackInfo {
        BuildpackInfo {
            id: self.id.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// A digest over all its files, in hexadecimal digits.
    pub fn digest(&self) -> &'static str {
        self.digest
    }

    /// The directory of the buildpack in the store. Makes it if it is missing.
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
                // Another request has made it meanwhile.
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
        // Sets the modes explicitly, because the umask changes them. The
        // builder's user reads the files.
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
