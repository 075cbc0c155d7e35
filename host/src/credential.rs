//! Finds accounts of registries in the files of `locald login`, podman and
//! docker, and in credential helpers. locald sends the agent an account only
//! when the agent asks for it. It never prints or logs secrets.

use std::path::PathBuf;

use protocol::input::Credential;
use protocol::{Failure, FailureKind};

use crate::credential::helper_process::HelperProcess;
use crate::platform::home::Home;

mod account;
mod config_file;
pub(crate) mod helper;
pub(crate) mod helper_process;
mod places;
mod registry_key;
mod saved;

pub(crate) use account::{Account, Secret};
pub(crate) use helper::{HelperAnswer, HelperError, ask};
pub(crate) use registry_key::{AccountKey, RegistryKey};
pub(crate) use saved::SavedAccounts;

use config_file::{ConfigFile, Source};

/// Why the account of a registry cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("{} cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} does not have the format of docker and podman", path.display())]
    Syntax {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the account of {registry} in {} is not valid", path.display())]
    Entry { path: PathBuf, registry: String },
    #[error("{} cannot be written", path.display())]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Helper(#[from] HelperError),
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        Self::from_error(FailureKind::Invalid, &error)
    }
}

/// The files that may name accounts. locald reads each once.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    files: Vec<ConfigFile>,
}

impl Credentials {
    /// Reads locald's own file, then podman's, then docker's. Returns the
    /// errors of unusable files beside the others: most pulls need no account.
    pub(crate) fn load(home: &Home) -> (Self, Vec<CredentialError>) {
        let mut files = Vec::new();
        let mut errors = Vec::new();
        let places = places::all(home, |name| std::env::var_os(name));
        for path in places {
            match ConfigFile::read(&path) {
                Ok(Some(file)) => files.push(file),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        (Self { files }, errors)
    }

    /// Whether a file names a credential helper.
    pub(crate) fn name_helpers(&self) -> bool {
        self.files.iter().any(ConfigFile::names_helper)
    }

    /// Returns the names of the credential helpers, sorted, each once.
    pub(crate) fn helpers(&self) -> Vec<&str> {
        let mut helpers: Vec<_> = self.files.iter().flat_map(ConfigFile::helpers).collect();
        helpers.sort_unstable();
        helpers.dedup();
        helpers
    }

    /// Returns the account of a registry or a repository. The first file that
    /// has one decides.
    pub(crate) async fn find(
        &self,
        key: &AccountKey,
        helpers: &HelperProcess,
    ) -> Result<Option<Credential>, CredentialError> {
        for file in &self.files {
            let account = match file.find(key)? {
                Source::Account(account) => Some(account),
                Source::Helper(program) => {
                    let answer = helpers.ask(program, key.registry.server()).await?;
                    answer.into_account()
                }
                Source::Nothing => None,
            };
            if let Some(account) = account {
                return Ok(Some(account.into()));
            }
        }
        Ok(None)
    }

    /// Returns the files, except locald's own, that contain an account of the
    /// registry or name a helper for it.
    pub(crate) fn places_of(&self, registry: &str, home: &Home) -> Vec<PathBuf> {
        let key = AccountKey::new(registry);
        let knows = |file: &&ConfigFile| !matches!(file.find(&key), Ok(Source::Nothing));
        let others = self.files.iter().filter(|file| file.path != home.accounts);
        others.filter(knows).map(|file| file.path.clone()).collect()
    }
}

/// Parses a configuration file as locald does, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub(crate) fn read(bytes: &[u8], registry: &str) -> Result<Option<Credential>, CredentialError> {
    let file = ConfigFile::parse("config.json".as_ref(), bytes)?;
    Ok(match file.find(&AccountKey::new(registry))? {
        Source::Account(account) => Some(account.into()),
        Source::Helper(_) | Source::Nothing => None,
    })
}

#[cfg(test)]
mod tests;
