//! Parses the command of a service.

use serde::Deserialize;

use super::error::ServiceError;

/// The command of a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a command is a string or a list of strings")]
pub(crate) enum ServiceCommand {
    /// A command line for the image's shell.
    Shell(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

impl ServiceCommand {
    /// Returns the command as a program and its arguments.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Shell(line) => ["sh", "-c", line].map(str::to_owned).to_vec(),
            Self::Words(words) => words.clone(),
        }
    }

    pub(super) fn checked(self) -> Result<Self, ServiceError> {
        let is_empty = match &self {
            Self::Shell(line) => line.trim().is_empty(),
            Self::Words(words) => words.first().is_none_or(String::is_empty),
        };
        if is_empty {
            return Err(ServiceError::Command);
        }
        Ok(self)
    }
}
