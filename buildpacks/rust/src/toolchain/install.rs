//! Installs a toolchain from the archives of its components. rust-installer's
//! layout is `NAME/COMPONENT/FILES`, beside files about the archive itself.

use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::dist::{Archive, Compression, Manifest, Server};
use super::{Channel, Request, Toolchain, ToolchainError, release};
use crate::http::{self, hex};
use crate::output;

/// The file that records the archives of a toolchain.
const STAMP: &str = "components";
/// The interval between requests for a channel that changes, such as `stable`.
const FRESH: Duration = Duration::from_hours(24);
/// Bytes to read or hash at a time.
const BUFFER: usize = 256 * 1024;

/// Provides the toolchain of a request. Fetches it unless it is in the cache.
pub(super) fn provide(
    server: &Server,
    request: &Request,
    parent: &Path,
) -> Result<Toolchain, ToolchainError> {
    let channel = request.channel.clone().unwrap_or_else(Channel::stable);
    let path = parent.join(channel.display());
    let kept = kept(&path, request);
    if let Some(age) = kept
        && (channel.is_fixed() || age < FRESH)
    {
        return reuse(&path, &channel);
    }
    let manifest = match server.manifest(&channel) {
        Ok(manifest) => manifest,
        Err(error @ ToolchainError::Unreachable { .. }) if kept.is_some() => {
            output::warning(&format!("{error}: the toolchain of the cache is used"));
            return reuse(&path, &channel);
        }
        Err(error) => return Err(error),
    };
    let archives = wanted(&manifest, request)?;
    let stamp: String = archives.iter().map(stamp).collect();
    let version = manifest.version();
    if fs_err::read_to_string(path.join(STAMP)).is_ok_and(|it| it == stamp) {
        // Updates the time of the file to that of the server's answer.
        fs_err::write(path.join(STAMP), stamp).map_err(ToolchainError::Write)?;
        return reuse(&path, &channel);
    }
    output::step(&format!("Fetching Rust {version} ({})", manifest.date));
    fetch(server, &archives, &path, &stamp)?;
    sweep(parent, &path);
    toolchain(&path, version)
}

fn reuse(path: &Path, channel: &Channel) -> Result<Toolchain, ToolchainError> {
    let toolchain = toolchain(path, &channel.name)?;
    output::step(&format!("Rust {} of the cache", toolchain.release));
    Ok(toolchain)
}

/// The time since the last request to the server for the toolchain in the
/// cache; absent if the toolchain lacks a wanted part.
fn kept(path: &Path, request: &Request) -> Option<Duration> {
    let stamp = fs_err::read_to_string(path.join(STAMP)).ok()?;
    let modified = fs_err::metadata(path.join(STAMP)).ok()?.modified().ok()?;
    let has = |(component, target): (&str, &str)| {
        let start = format!("{component} {target} ");
        stamp.lines().any(|line| line.starts_with(&start))
    };
    let host = host();
    let complete = parts(request, &host).into_iter().all(has);
    complete.then(|| modified.elapsed().unwrap_or(Duration::MAX))
}

fn toolchain(path: &Path, version: &str) -> Result<Toolchain, ToolchainError> {
    let bin = path.join("root/bin");
    let release = release(&bin.join("rustc"), version)?;
    Ok(Toolchain { bin, release })
}

/// The components and their targets: those that a build needs, and those that
/// the project names for its shell. Documentation is never fetched.
fn parts<'a>(request: &'a Request, host: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut parts = vec![("rustc", host), ("cargo", host), ("rust-std", host)];
    let others = request.targets.iter().filter(|target| *target != host);
    parts.extend(others.map(|target| ("rust-std", target.as_str())));
    for component in &request.components {
        let part = (component.as_str(), host);
        if !component.ends_with("-docs") && !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts
}

fn wanted(manifest: &Manifest, request: &Request) -> Result<Vec<Archive>, ToolchainError> {
    let host = host();
    let parts = parts(request, &host).into_iter();
    parts
        .map(|(component, target)| manifest.archive(component, target))
        .collect()
}

fn host() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// The line of an archive in the stamp.
fn stamp(archive: &Archive) -> String {
    let Archive {
        component,
        target,
        hash,
        ..
    } = archive;
    format!("{component} {target} {hash}\n")
}

/// Fetches, verifies and unpacks all archives. The directory gets its name only
/// when it is complete.
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

/// Downloads an archive into an unnamed file, and verifies its hash.
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

/// The path at which a file of an archive is installed; absent for files about
/// the archive, and for documentation.
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

/// Removes all other toolchains. The cache keeps one for each project.
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
