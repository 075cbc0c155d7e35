//! Parses a `Procfile`: one `type: command` a line.

use std::path::Path;

use protocol::{Failure, FailureKind};

use crate::platform::control_file::check_encoding;
use crate::project::Boundary;

/// Why a Procfile cannot be used.
#[derive(Debug, thiserror::Error)]
enum ProcfileError {
    #[error("the Procfile cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error("the command of `{0}` in the Procfile is not UTF-8")]
    Encoding(String),
}

/// Returns the command of the first of these process types in a folder's
/// Procfile. Returns `None` without a Procfile or a match.
pub(super) fn read(folder: &Path, processes: &[String]) -> Result<Option<String>, Failure> {
    let failed = |error: ProcfileError| Failure::from_error(FailureKind::Source, &error);
    let Some(bytes) = Boundary::of(folder).read(&folder.join("Procfile"))? else {
        return Ok(None);
    };
    check_encoding(&bytes).map_err(|error| failed(ProcfileError::Unreadable(error)))?;
    let mut processes = processes.iter();
    let Some((name, command)) = processes.find_map(|name| Some((name, find(&bytes, name)?))) else {
        return Ok(None);
    };
    let command = String::from_utf8(command.to_vec());
    command
        .map(Some)
        .map_err(|_| failed(ProcfileError::Encoding(name.clone())))
}

/// Finds a command. The last line of a process type decides, as in other tools.
fn find<'a>(bytes: &'a [u8], process: &str) -> Option<&'a [u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let command = |line: &'a [u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, command) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        (name == process.as_bytes() && !command.is_empty()).then_some(command)
    };
    let mut lines = bytes.rsplit(|byte| *byte == b'\n');
    lines.find_map(command)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn find_text(text: &str, process: &str) -> Option<String> {
        let command = find(text.as_bytes(), process)?;
        Some(String::from_utf8_lossy(command).into_owned())
    }

    #[test]
    fn a_procfile_has_one_process_a_line() {
        let text = "# all\nweb: ./serve --url=http://x\r\nworker:\t./work\t\nempty:\n#web: ./old\n";
        let web = Some("./serve --url=http://x".to_owned());
        assert_eq!(find_text(text, "web"), web);
        assert_eq!(find_text(text, "worker").as_deref(), Some("./work"));
        assert_eq!(find_text(text, "empty"), None);
        assert_eq!(find_text(text, "clock"), None);
    }

    #[test]
    fn the_last_line_of_a_name_counts() {
        let text = "web: first\nworker: x\nweb: last\nweb:\n";
        assert_eq!(find_text(text, "web").as_deref(), Some("last"));
    }

    #[test]
    fn a_byte_order_mark_belongs_to_no_name() {
        assert_eq!(find_text("\u{feff}web: x", "web").as_deref(), Some("x"));
    }

    #[test]
    fn a_procfile_that_cannot_be_used_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["worker".to_owned(), "web".to_owned()];
        let read_as = |bytes: &[u8]| {
            fs_err::write(folder.path().join("Procfile"), bytes).unwrap();
            read(folder.path(), &names)
        };
        assert_eq!(
            read_as(b"web: x\n# caf\xe9\n").unwrap().as_deref(),
            Some("x")
        );
        assert_eq!(read_as(b"other: x\n").unwrap(), None);
        assert!(read_as(b"web: caf\xe9\n").is_err());
        assert!(read_as(b"\xff\xfew\0e\0b\0").is_err());
        fs_err::remove_file(folder.path().join("Procfile")).unwrap();
        assert_eq!(read(folder.path(), &names).unwrap(), None);
        fs_err::create_dir(folder.path().join("Procfile")).unwrap();
        assert!(read(folder.path(), &names).is_err());
    }
}
