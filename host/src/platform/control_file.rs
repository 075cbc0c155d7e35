//! Reads files that control locald: settings, ignore files, accounts. They may
//! come with a stranger's project, so it reads only regular files, up to a
//! limit.

use std::io::{self, Read as _};
use std::path::Path;

/// The maximum size of such a file, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Why a file is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("it is a folder, not a file")]
    Folder,
    #[error("it is neither a regular file nor a link to one")]
    Special,
    #[error("it is larger than {} MiB", LARGEST / 1024 / 1024)]
    Large,
    #[error("it is not UTF-8 text")]
    NotUtf8,
    #[error("it is UTF-16 text: save it as UTF-8")]
    Utf16,
    #[error("it is a link to nothing")]
    Dangling,
}

/// Reads a file. Returns `None` if the path does not exist.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(error.kind()) => match std::fs::symlink_metadata(path) {
            Ok(_) => Err(refused(Refused::Dangling)),
            Err(_) => Ok(None),
        },
        Err(error) => Err(error),
    }
}

/// Whether the error means that the path does not exist. A component that is
/// not a folder counts, too: another check reports it.
fn is_absent(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Check before opening: opening a device can have an effect.
    check(&std::fs::metadata(path)?)?;
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    // A FIFO may have replaced the file meanwhile. Do not wait for its writer.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(refused(Refused::Large));
    }
    Ok(bytes)
}

/// Decodes the bytes of a file as UTF-8, without a byte order mark.
pub(crate) fn text(bytes: Vec<u8>) -> io::Result<String> {
    check_encoding(&bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| refused(Refused::NotUtf8))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

/// Refuses bytes with a UTF-16 byte order mark.
pub(crate) fn check_encoding(bytes: &[u8]) -> io::Result<()> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(refused(Refused::Utf16));
    }
    Ok(())
}

fn check(metadata: &std::fs::Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(refused(Refused::Folder));
    }
    if !metadata.is_file() {
        return Err(refused(Refused::Special));
    }
    if metadata.len() > LARGEST {
        return Err(refused(Refused::Large));
    }
    Ok(())
}

fn refused(reason: Refused) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn only_regular_files_of_a_usual_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, path(name)).unwrap();
        };
        fs_err::write(path("file"), "text").unwrap();
        link("file", "link");
        link("/dev/zero", "device");
        link("nowhere", "dangling");
        let fifo = std::ffi::CString::new(path("fifo").to_str().unwrap()).unwrap();
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        let large = fs_err::File::create(path("large")).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        assert_eq!(read(&path("file")).unwrap(), b"text");
        assert_eq!(read(&path("link")).unwrap(), b"text");
        for name in ["device", "fifo", "large", "."] {
            let error = read(&path(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}");
        }
        for name in ["missing", "file/below"] {
            assert!(read_if_there(&path(name)).unwrap().is_none(), "{name}");
        }
        assert!(read_if_there(&path("file")).unwrap().is_some());
        let error = read_if_there(&path("dangling")).unwrap_err();
        assert!(error.to_string().contains("a link to nothing"), "{error}");
    }

    #[test]
    fn text_is_utf_8_with_or_without_a_mark() {
        let text = |bytes: &[u8]| text(bytes.to_vec());
        assert_eq!(text(b"\xef\xbb\xbfa").unwrap(), "a");
        assert_eq!(text(b"a").unwrap(), "a");
        assert!(text(b"\xe4").unwrap_err().to_string().contains("UTF-8"));
        let error = text(b"\xff\xfea\0").unwrap_err().to_string();
        assert!(error.contains("UTF-16"), "{error}");
    }
}
