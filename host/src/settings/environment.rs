//! Parses variables of the command line and of `--env-file` files.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use protocol::request::EnvVar;
use protocol::{BadVariableName, BuildVariable, Failure, FailureKind};

/// `NAME=VALUE`, or `NAME` for the value of that variable in locald's own
/// environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvArgument {
    name: String,
    value: Option<String>,
    place: VariablePlace,
}

/// The place that names a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VariablePlace {
    Flag,
    Line(PathBuf, usize),
}

impl fmt::Display for VariablePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => formatter.write_str("--env"),
            Self::Line(path, line) => write!(formatter, "{}:{line}", path.display()),
        }
    }
}

/// Why a variable is not valid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvError {
    #[error("{place}: {text:?} has no variable name")]
    NoName { place: VariablePlace, text: String },
    #[error("{place}: variable {name:?} holds a zero byte")]
    Zero { place: VariablePlace, name: String },
    #[error("the value of variable {name} in this shell is not UTF-8")]
    NotUnicode { name: String },
    #[error("{place}: variable name {name:?} holds white space")]
    Space { place: VariablePlace, name: String },
    #[error("{place}: {error}")]
    Name {
        place: VariablePlace,
        error: BadVariableName,
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
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        Ok(Self {
            name: name.to_owned(),
            value,
            place: VariablePlace::Flag,
        })
    }
}

impl EnvArgument {
    /// Returns the variable. Returns `None` if it has no value, here or in the
    /// environment of this process.
    pub(crate) fn resolve(&self) -> Result<Option<EnvVar>, EnvError> {
        self.resolve_with(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(EnvError::NotUnicode {
                name: name.to_owned(),
            }),
        })
    }

    /// Like [`resolve`](Self::resolve), for a variable of buildpacks.
    pub(crate) fn resolve_for_build(&self) -> Result<Option<BuildVariable>, EnvError> {
        let Some(EnvVar { name, value }) = self.resolve()? else {
            return Ok(None);
        };
        let name = name.try_into().map_err(|error| EnvError::Name {
            place: self.place.clone(),
            error,
        })?;
        Ok(Some(BuildVariable { name, value }))
    }

    fn resolve_with(
        &self,
        lookup: impl Fn(&str) -> Result<Option<String>, EnvError>,
    ) -> Result<Option<EnvVar>, EnvError> {
        let name = self.name.clone();
        if name.is_empty() {
            let text = format!("={}", self.value.as_deref().unwrap_or_default());
            let place = self.place.clone();
            return Err(EnvError::NoName { place, text });
        }
        let found = match &self.value {
            Some(value) => Some(value.clone()),
            None if name.contains('\0') => None,
            None => lookup(&name)?,
        };
        if name.contains('\0') || found.as_ref().is_some_and(|value| value.contains('\0')) {
            let place = self.place.clone();
            return Err(EnvError::Zero { place, name });
        }
        Ok(found.map(|value| EnvVar { name, value }))
    }
}

/// Reads an env file: one variable a line, `#` for comments, no quotes.
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
        let Ok(mut argument) = line.parse::<EnvArgument>();
        argument.place = VariablePlace::Line(path.to_owned(), index + 1);
        if argument.name.contains(char::is_whitespace) {
            let EnvArgument { name, place, .. } = argument;
            return Err(EnvError::Space { place, name });
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
    fn a_variable_for_buildpacks_has_the_name_of_a_file() {
        let file = parse_env_file(Path::new("x.env"), "A=1\nnpm_//r/:_auth=2\n").unwrap();
        assert!(file[0].resolve_for_build().is_ok());
        let error = file[1].resolve_for_build().unwrap_err();
        let expected = "x.env:2: the variable name \"npm_//r/:_auth\" holds '/'";
        assert_eq!(error.to_string(), expected);
        assert!(file[1].resolve().is_ok(), "a program can have it");
        let Ok(flag) = "../x=1".parse::<EnvArgument>();
        let error = flag.resolve_for_build().unwrap_err();
        assert_eq!(
            error.to_string(),
            "--env: the variable name \"../x\" holds '/'"
        );
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
