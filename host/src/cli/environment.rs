//! Variables on the command line and in `--env-file` files.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use protocol::request::EnvVar;
use protocol::{Failure, FailureKind};

/// `NAME=VALUE`, or `NAME` alone, which stands for the value that the name has
/// in locald's own environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvArgument {
    name: String,
    value: Option<String>,
}

/// Why a variable cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvError {
    #[error("{text:?} has no variable name")]
    NoName { text: String },
    #[error("variable {name:?} holds a zero byte")]
    Zero { name: String },
    #[error("the value of variable {name} in this shell is not UTF-8")]
    NotUnicode { name: String },
    #[error("{}:{line}: variable name {name:?} holds white space", path.display())]
    Space {
        path: PathBuf,
        line: usize,
        name: String,
    },
    #[error("env file {} cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl From<EnvError> for Failure {
    fn from(error: EnvError) -> Self {
        Self::from_error(FailureKind::Invalid, &error)
    }
}

impl FromStr for EnvArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('=') {
            Some((name, value)) => Self {
                name: name.to_owned(),
                value: Some(value.to_owned()),
            },
            None => Self {
                name: text.to_owned(),
                value: None,
            },
        })
    }
}

impl EnvArgument {
    /// The variable; nothing when it has no value here nor in the environment
    /// of this process.
    pub(crate) fn resolve(&self) -> Result<Option<EnvVar>, EnvError> {
        self.resolve_with(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(EnvError::NotUnicode {
                name: name.to_owned(),
            }),
        })
    }

    fn resolve_with(
        &self,
        lookup: impl Fn(&str) -> Result<Option<String>, EnvError>,
    ) -> Result<Option<EnvVar>, EnvError> {
        let name = self.name.clone();
        if name.is_empty() {
            let text = format!("={}", self.value.as_deref().unwrap_or_default());
            return Err(EnvError::NoName { text });
        }
        let found = match &self.value {
            Some(value) => Some(value.clone()),
            None if name.contains('\0') => None,
            None => lookup(&name)?,
        };
        if name.contains('\0') || found.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err(EnvError::Zero { name });
        }
        Ok(found.map(|value| EnvVar { name, value }))
    }
}

/// Reads an env file: one variable a line, `#` comments, no quotes.
pub(crate) fn read_env_file(path: &Path) -> Result<Vec<EnvArgument>, EnvError> {
    let text = fs_err::read_to_string(path).map_err(|source| EnvError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse_env_file(path, &text)
}

fn parse_env_file(path: &Path, text: &str) -> Result<Vec<EnvArgument>, EnvError> {
    let mut arguments = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Ok(argument) = line.parse::<EnvArgument>();
        if argument.name.contains(char::is_whitespace) {
            return Err(EnvError::Space {
                path: path.to_owned(),
                line: index + 1,
                name: argument.name,
            });
        }
        arguments.push(argument);
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn resolve(text: &str) -> Result<Option<(String, String)>, EnvError> {
        let Ok(argument) = text.parse::<EnvArgument>();
        let lookup = |name: &str| Ok((name == "HERE").then(|| "inherited".to_owned()));
        Ok(argument
            .resolve_with(lookup)?
            .map(|variable| (variable.name, variable.value)))
    }

    #[test]
    fn a_value_is_all_after_the_first_equals_sign() {
        let expected = Some(("A".to_owned(), "b=c ".to_owned()));
        assert_eq!(resolve("A=b=c ").unwrap(), expected);
        let expected = Some(("EMPTY".to_owned(), String::new()));
        assert_eq!(resolve("EMPTY=").unwrap(), expected);
    }

    #[test]
    fn a_bare_name_takes_the_value_of_the_shell() {
        let expected = Some(("HERE".to_owned(), "inherited".to_owned()));
        assert_eq!(resolve("HERE").unwrap(), expected);
        assert_eq!(resolve("ELSEWHERE").unwrap(), None);
    }

    #[test]
    fn no_name_and_zero_bytes_are_refused() {
        assert!(matches!(resolve("=x"), Err(EnvError::NoName { .. })));
        assert!(matches!(resolve(""), Err(EnvError::NoName { .. })));
        assert!(matches!(resolve("A=\0"), Err(EnvError::Zero { .. })));
        assert!(matches!(resolve("A\0"), Err(EnvError::Zero { .. })));
    }

    #[test]
    fn a_file_is_read_line_by_line_as_docker_does() {
        let text = "\u{feff}# comment\n\n  A=1\nB=two words\nC=\"kept\"\nHERE\n";
        let arguments = parse_env_file(Path::new("x.env"), text).unwrap();
        let names: Vec<_> = arguments
            .iter()
            .map(|argument| (argument.name.as_str(), argument.value.as_deref()))
            .collect();
        let expected = [
            ("A", Some("1")),
            ("B", Some("two words")),
            ("C", Some("\"kept\"")),
            ("HERE", None),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_name_with_a_space_is_an_error_of_its_line() {
        let error = parse_env_file(Path::new("x.env"), "A=1\nexport B=2\n").unwrap_err();
        let expected = "x.env:2: variable name \"export B\" holds white space";
        assert_eq!(error.to_string(), expected);
    }
}
