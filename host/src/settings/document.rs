//! TOML files whose errors name the file and the line.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::SettingsError;

/// Reads a settings file; a file that does not exist says nothing.
pub(super) fn read<T: Default>(
    path: &Path,
    parse: impl Fn(&Path, &str) -> Result<T, SettingsError>,
) -> Result<T, SettingsError> {
    match fs_err::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if is_absent(error.kind()) => Ok(T::default()),
        Err(source) => Err(SettingsError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A folder that is none is reported where it matters.
fn is_absent(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Parses a document; an unknown key becomes an error of its own kind.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, SettingsError> {
    toml::from_str(text).map_err(|error| explain(path, text, &error))
}

fn explain(path: &Path, text: &str, error: &toml::de::Error) -> SettingsError {
    let path = path.to_owned();
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = line_at(text, start);
    if let Some((key, known)) = unknown_key(error.message()) {
        return SettingsError::UnknownKey {
            path,
            line,
            key,
            known,
        };
    }
    let message = error.message().replace('\n', ", ");
    SettingsError::Syntax {
        path,
        line,
        message,
    }
}

/// The number of the line that a byte is in.
pub(super) fn line_at(text: &str, start: usize) -> usize {
    let before = text.get(..start.min(text.len())).unwrap_or_default();
    1 + before.matches('\n').count()
}

/// Reads serde's "unknown field `a`, expected one of `b`, `c`".
fn unknown_key(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
    Some((quoted.next()?, quoted.collect()))
}
