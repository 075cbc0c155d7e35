//! Reads accounts from docker's `config.json`, podman's `auth.json` and
//! locald's own file. All have one format.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Account, AccountKey, CredentialError, RegistryKey, Secret};
use crate::platform::control_file;

/// The parts of a configuration file that concern accounts.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    content: Content,
}

/// The file's content. Docker accepts null for any field.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Content {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    cred_helpers: Option<BTreeMap<String, Option<String>>>,
    creds_store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
}

/// Where a file keeps the account of a registry.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// In this file.
    Account(Account),
    /// In this helper. The name is without `docker-credential-`.
    Helper(&'a str),
    /// The file has no account of the registry.
    Nothing,
}

impl ConfigFile {
    /// Reads a file. Returns `None` if it does not exist.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, CredentialError> {
        let bytes = match control_file::read(path) {
            Ok(bytes) => bytes,
            Err(error) if is_absent(error.kind()) => return Ok(None),
            Err(source) => {
                let path = path.to_owned();
                return Err(CredentialError::Unreadable { path, source });
            }
        };
        Self::parse(path, &bytes).map(Some)
    }

    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CredentialError> {
        // `docker logout` may leave an empty file.
        let bytes = if bytes.trim_ascii().is_empty() {
            b"{}"
        } else {
            bytes
        };
        // Parse an object first: serde would accept an array as a struct.
        let object = serde_json::from_slice::<serde_json::Map<_, _>>(bytes);
        let content =
            object.and_then(|object| Content::deserialize(serde_json::Value::from(object)));
        let content = content.map_err(|source| CredentialError::Syntax {
            path: path.to_owned(),
            source,
        })?;
        let path = path.to_owned();
        Ok(Self { path, content })
    }

    pub(super) fn names_helper(&self) -> bool {
        self.helpers().next().is_some()
    }

    pub(super) fn helpers(&self) -> impl Iterator<Item = &str> {
        let helpers = self.cred_helpers().map(|(_, helper)| helper);
        let store = self.content.creds_store.as_deref();
        helpers.chain(store).filter(|name| !name.is_empty())
    }

    fn cred_helpers(&self) -> impl Iterator<Item = (&String, &str)> {
        let helpers = self.content.cred_helpers.iter().flatten();
        helpers.filter_map(|(name, helper)| Some((name, helper.as_deref()?)))
    }

    /// Finds an account. Precedence: the helper of the registry, an entry of
    /// the file, the helper of all registries.
    pub(super) fn find(&self, key: &AccountKey) -> Result<Source<'_>, CredentialError> {
        let own = |(name, helper): &(&String, &str)| {
            RegistryKey::new(name) == key.registry && !helper.is_empty()
        };
        if let Some((_, helper)) = self.cred_helpers().find(own) {
            return Ok(Source::Helper(helper));
        }
        if let Some(account) = self.entry(key)? {
            return Ok(Source::Account(account));
        }
        let store = self.content.creds_store.as_deref();
        Ok(store
            .filter(|name| !name.is_empty())
            .map_or(Source::Nothing, Source::Helper))
    }

    /// Returns the entry with the longest matching path.
    fn entry(&self, key: &AccountKey) -> Result<Option<Account>, CredentialError> {
        let entries = self.content.auths.iter().flatten();
        let mut entries: Vec<_> = entries
            .filter_map(|(name, entry)| Some((AccountKey::new(name), entry.as_ref()?)))
            .filter(|(name, _)| name.covers(key))
            .collect();
        entries.sort_by_key(|(name, _)| std::cmp::Reverse(name.depth()));
        for (_, entry) in entries {
            let account = entry.account().map_err(|Invalid| CredentialError::Entry {
                path: self.path.clone(),
                registry: key.registry.as_str().to_owned(),
            })?;
            if account.is_some() {
                return Ok(account);
            }
        }
        Ok(None)
    }
}

/// An `auth` field that does not decode to a name and a password.
struct Invalid;

impl Entry {
    /// Returns the account. Returns `None` for an empty entry: docker leaves
    /// one for a registry with a helper.
    fn account(&self) -> Result<Option<Account>, Invalid> {
        let filled = |secret: &&Secret| !secret.is_empty();
        if let Some(token) = self.identitytoken.as_ref().filter(filled) {
            return Ok(Some(Account::Identity(token.clone())));
        }
        if let Some(auth) = self.auth.as_ref().filter(filled) {
            return Account::decode(auth.reveal()).map(Some).ok_or(Invalid);
        }
        let pair = self.username.clone().zip(self.password.clone());
        Ok(pair.map(|(username, password)| Account::new(username, password)))
    }
}

fn is_absent(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
