//! Reads and writes the file of `locald login`.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Account, CredentialError, RegistryKey, Secret};
use crate::platform::control_file;

/// The accounts of `locald login`, in docker's format. Only the user can read
/// the file.
#[derive(Debug)]
pub(crate) struct SavedAccounts {
    path: PathBuf,
    content: Content,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    #[serde(default, deserialize_with = "or_null")]
    auths: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    auth: Secret,
}

/// Accepts null for a missing table, as other readers of this format do.
fn or_null<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Entry>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl SavedAccounts {
    /// Reads the file. A missing file has no accounts.
    pub(crate) fn open(path: &Path) -> Result<Self, CredentialError> {
        let owned = path.to_owned();
        let content = match control_file::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| {
                let path = owned.clone();
                CredentialError::Syntax { path, source }
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(source) => {
                let path = owned;
                return Err(CredentialError::Unreadable { path, source });
            }
        };
        let path = owned;
        Ok(Self { path, content })
    }

    /// Saves an account, and replaces an earlier one.
    pub(crate) fn set(
        &mut self,
        key: &RegistryKey,
        account: &Account,
    ) -> Result<(), CredentialError> {
        let auth = Secret::from(account.encode());
        self.content
            .auths
            .insert(key.as_str().to_owned(), Entry { auth });
        self.write()
    }

    /// Removes an account. Returns whether the file had one.
    pub(crate) fn remove(&mut self, key: &RegistryKey) -> Result<bool, CredentialError> {
        if self.content.auths.remove(key.as_str()).is_none() {
            return Ok(false);
        }
        self.write()?;
        Ok(true)
    }

    fn write(&self) -> Result<(), CredentialError> {
        self.try_write()
            .map_err(|source| CredentialError::Unwritable {
                path: self.path.clone(),
                source,
            })
    }

    /// Temporary files of `tempfile` have mode 0600.
    fn try_write(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs_err::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, &self.content)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}
