//! Puts a toolchain together from the archives of its components, as
//! rust-installer lays them out: `NAME/COMPONENT/FILES`, beside files about the
//! archive itself.

use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::dist::{Archive, Compression, Manifest, Server};
use super::{Channel, Request, Toolchain, ToolchainError, release};
use crate::http::{self, hex};
use crate::output;

/// Says which archives a directory was made from.
const STAMP: &str = "components";
/// Read or hashed at a time.
const BUFFER: usize = 256 * 1024;

/// The toolchain of a request, which is fetched unless it is there.
pub(super) fn provide(
    server: &Server,
    request: &Request,
    parent: &Path,
) -> Result<Toolchain, ToolchainError> {
    let channel = request.channel.clone().unwrap_or_else(Channel::stable);
    let path = parent.join(channel.display());
    let manifest = match server.manifest(&channel) {
        Ok(manifest) => manifest,
        // What was fetched before is used while the server cannot be asked.
        Err(error @ ToolchainError::Unreachable { .. }) => {
            return kept(&path, request, &channel).ok_or(error);
        }
        Err(error) => return Err(error),
    };
    let archives = wanted(&manifest, request)?;
    let stamp = stamp(&archives);
    let version = manifest.version();
    if fs_err::read_to_string(path.join(STAMP)).is_ok_and(|it| it == stamp) {
        output::step(&format!("Rust {version} of the cache"));
    } else {
        output::step(&format!("Fetching Rust {version} ({})", manifest.date));
        fetch(server, &archives, &path, &stamp)?;
        sweep(parent, &path);
    }
    toolchain(&path, version)
}

/// A toolchain in the cache that is as good as can be told.
fn kept(path: &Path, request: &Request, channel: &Channel) -> Option<Toolchain> {
    let stamp = fs_err::read_to_string(path.join(STAMP)).ok()?;
    let has = |target: &String| stamp.contains(&format!("rust-std-{target}"));
    let toolchain = toolchain(path, &channel.name).ok()?;
    output::warning(&format!(
        "the distribution server cannot be asked: Rust {} of the cache is used",
        toolchain.release
    ));
    request.targets.iter().all(has).then_some(toolchain)
}

fn toolchain(path: &Path, version: &str) -> Result<Toolchain, ToolchainError> {
    let bin = path.join("root/bin");
    let release = release(&bin.join("rustc"), version)?;
    Ok(Toolchain { bin, release })
}

/// What a build needs; neither documentation nor what only editors use.
fn wanted(manifest: &Manifest, request: &Request) -> Result<Vec<Archive>, ToolchainError> {
    let host = host();
    let mut archives = vec![
        manifest.archive("rustc", &host)?,
        manifest.archive("cargo", &host)?,
    ];
    let others = request.targets.iter().filter(|target| **target != host);
    for target in std::iter::once(&host).chain(others) {
        archives.push(manifest.archive("rust-std", target)?);
    }
    let for_builds = ["rust-src", "llvm-tools", "llvm-tools-preview"];
    for component in &request.components {
        if for_builds.contains(&&**component) {
            archives.push(manifest.archive(component, &host)?);
        }
    }
    Ok(archives)
}

fn host() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn stamp(archives: &[Archive]) -> String {
    let line = |archive: &Archive| {
        let name = archive.url.rsplit('/').next().unwrap_or_default();
        format!("{name} {}\n", archive.hash)
    };
    archives.iter().map(line).collect()
}

/// Fetches, verifies and unpacks all archives; the directory gets its name when
/// it is whole.
fn fetch(
    server: &Server,
    archives: &[Archive],
    path: &Path,
    stamp: &str,
) -> Result<(), ToolchainError> {
    let parent = path.parent().unwrap_or(path);
    fs_err::create_dir_all(parent).map_err(ToolchainError::Write)?;
    let made = tempfile::tempdir_in(parent).map_err(ToolchainError::Write)?;
    for archive in archives {
        output::detail(&archive.component);
        let url = server.locate(&archive.url);
        let file = download(server, archive, &url, made.path())?;
        let unpacked = unpack(file, archive.compression, &made.path().join("root"));
        unpacked.map_err(|source| ToolchainError::Unpack { url, source })?;
    }
    let keep = || {
        fs_err::write(made.path().join(STAMP), stamp)?;
        if path.exists() {
            fs_err::remove_dir_all(path)?;
        }
        fs_err::rename(made.path(), path)
    };
    keep().map_err(ToolchainError::Write)
}

/// An archive in a file without a name, which is what its manifest says.
fn download(
    server: &Server,
    archive: &Archive,
    url: &str,
    directory: &Path,
) -> Result<std::fs::File, ToolchainError> {
    let mut body = http::get(url).map_err(|source| server.unreachable(source))?;
    let mut file = tempfile::tempfile_in(directory).map_err(ToolchainError::Write)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = body.read(&mut buffer).map_err(|source| {
            let url = url.to_owned();
            server.unreachable(http::HttpError::Broken { url, source })
        })?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count])
            .map_err(ToolchainError::Write)?;
    }
    let actual = hex(&hasher.finalize());
    if actual != archive.hash {
        return Err(ToolchainError::Mismatch {
            url: url.to_owned(),
            expected: archive.hash.clone(),
            actual,
        });
    }
    file.rewind().map_err(ToolchainError::Write)?;
    Ok(file)
}

fn unpack(file: std::fs::File, compression: Compression, root: &Path) -> io::Result<()> {
    let file = io::BufReader::with_capacity(BUFFER, file);
    match compression {
        Compression::Gzip => unpack_tar(flate2::bufread::MultiGzDecoder::new(file), root),
        Compression::Xz => unpack_tar(lzma_rust2::XzReader::new(file, true), root),
    }
}

fn unpack_tar(archive: impl Read, root: &Path) -> io::Result<()> {
    fs_err::create_dir_all(root)?;
    let mut archive = tar::Archive::new(archive);
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let Some(path) = place(&entry.path()?) else {
            continue;
        };
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let target = root.join(path);
        fs_err::create_dir_all(target.parent().unwrap_or(root))?;
        entry.unpack(target)?;
    }
    Ok(())
}

/// Where a file of an archive goes; absent for what is about the archive, and
/// for documentation.
fn place(path: &Path) -> Option<PathBuf> {
    let normal = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        _ => None,
    };
    let parts: Vec<_> = path.components().map(normal).collect::<Option<_>>()?;
    let place: PathBuf = parts.get(2..)?.iter().collect();
    let about = place == Path::new("manifest.in") || place.as_os_str().is_empty();
    let documentation = ["share/doc", "share/man"]
        .iter()
        .any(|it| place.starts_with(it));
    (!about && !documentation).then_some(place)
}

/// Only one toolchain of a project is kept.
fn sweep(parent: &Path, kept: &Path) {
    for entry in fs_err::read_dir(parent).into_iter().flatten().flatten() {
        if entry.path() != kept {
            let _ = fs_err::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn files_go_where_the_installer_puts_them() {
        let place = |path: &str| place(Path::new(path)).map(|it| it.display().to_string());
        assert_eq!(place("rustc-1.95.0/rustc/bin/rustc").unwrap(), "bin/rustc");
        for path in [
            "rustc-1.95.0/components",
            "rustc-1.95.0/rustc",
            "rustc-1.95.0/rustc/manifest.in",
            "rustc-1.95.0/rustc/share/doc/x",
            "rustc-1.95.0/rustc/../../x",
            "/rustc/rustc/bin/x",
        ] {
            assert_eq!(place(path), None, "{path}");
        }
    }

    #[test]
    fn what_leads_out_of_the_toolchain_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        let name = b"a/b/../../../escaped";
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_cksum();
        archive.append(&header, &b"x"[..]).unwrap();
        let bytes = archive.into_inner().unwrap();
        unpack_tar(&bytes[..], &directory.path().join("root")).unwrap();
        assert!(!directory.path().join("escaped").exists());
    }
}
