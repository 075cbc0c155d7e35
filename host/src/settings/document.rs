//! Parses TOML files. Errors name the file and the line.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::SettingsError;
use crate::platform::control_file;
use crate::project::Boundary;

/// Reads a settings file. A missing file has default settings. A link in a
/// project's file must stay in the boundary.
pub(super) fn read<T: Default>(
    path: &Path,
    boundary: Option<&Boundary>,
    parse: impl Fn(&Path, &str) -> Result<T, SettingsError>,
) -> Result<T, SettingsError> {
    let unreadable = |source| SettingsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let bytes = match boundary {
        Some(boundary) => boundary.read(path)?,
        None => control_file::read_if_there(path).map_err(unreadable)?,
    };
    match bytes {
        Some(bytes) => parse(path, &control_file::text(bytes).map_err(unreadable)?),
        None => Ok(T::default()),
    }
}

/// Parses a document. An unknown key is an error.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, SettingsError> {
    toml::from_str(text).map_err(|error| explain(path, text, &error))
}

/// Parses a document with keys for other programs. Returns the unknown keys.
pub(super) fn parse_foreign<T: DeserializeOwned>(
    path: &Path,
    text: &str,
) -> Result<(T, Vec<String>), SettingsError> {
    let mut unknown = Vec::new();
    let keep = |key: serde_ignored::Path| unknown.push(key.to_string());
    let document = toml::Deserializer::parse(text)
        .and_then(|document| serde_ignored::deserialize(document, keep))
        .map_err(|error| explain(path, text, &error))?;
    Ok((document, unknown))
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

/// Returns the line of a byte offset. The first line is 1.
pub(super) fn line_at(text: &str, start: usize) -> usize {
    let before = text.get(..start.min(text.len())).unwrap_or_default();
    1 + before.matches('\n').count()
}

/// Parses serde's message "unknown field `a`, expected one of `b`, `c`".
fn unknown_key(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
    Some((quoted.next()?, quoted.collect()))
}
