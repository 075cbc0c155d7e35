//! Finds the account that the agent may use at a registry.
//! `RequestStream::next` calls it when the agent sends `CredentialWanted`.

use std::collections::BTreeSet;

use protocol::Failure;
use protocol::input::Credential;

use crate::credential::helper_process::HelperProcess;
use crate::credential::{AccountKey, Credentials, RegistryKey};
use crate::output::Printer;

/// The accounts of the user, and the rules that limit their use.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) credentials: Credentials,
    pub(crate) helpers: HelperProcess,
    pub(crate) redirected: BTreeSet<RegistryKey>,
    pub(crate) configuration: String,
}

impl Accounts {
    /// Returns the account of a repository. Returns `None`, with a warning, if
    /// reading it fails or if a project's file redirects the registry.
    pub(crate) async fn find(&self, repository: &str, printer: &mut Printer) -> Option<Credential> {
        let key = AccountKey::new(repository);
        let registry = key.registry.as_str();
        let found = self.credentials.find(&key, &self.helpers).await;
        let credential = found.unwrap_or_else(|error| {
            let failure = Failure::from(error);
            let text = [vec![failure.message], failure.causes].concat().join(": ");
            let hint = format!("locald asks {registry} without an account");
            printer.warning(&text, Some(&hint));
            None
        });
        if credential.is_some() && self.redirected.contains(&key.registry) {
            let text = format!(
                "the account of {registry} is not used: the project's locald.toml says how {registry} is reached"
            );
            let hint = format!("to use it, move the table into {}", self.configuration);
            printer.warning(&text, Some(&hint));
            return None;
        }
        credential
    }
}
