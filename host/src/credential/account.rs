//! A user name and its secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::input::Credential;
use serde::{Deserialize, Serialize};

/// The user name with which helpers mark an identity token.
const TOKEN_NAME: &str = "<token>";

/// A secret. Its debug output does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Secret {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the secret, to decode or compare it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

/// An account at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// A name and its password.
    Basic { username: String, password: Secret },
    /// A token of the registry's token server.
    Identity(Secret),
}

impl Account {
    /// Makes an account of a helper's answer. Its user name marks a token.
    pub(crate) fn new(username: String, secret: Secret) -> Self {
        if username == TOKEN_NAME {
            return Self::Identity(secret);
        }
        Self::Basic {
            username,
            password: secret,
        }
    }

    /// Decodes the `auth` field of a configuration file.
    pub(super) fn decode(auth: &str) -> Option<Self> {
        let bytes = STANDARD.decode(auth.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (username, password) = text.split_once(':')?;
        // Docker accepts zero bytes after the password, which some programs
        // write.
        let password = password.trim_end_matches('\0').to_owned();
        Some(Self::new(username.to_owned(), Secret(password)))
    }

    /// Encodes the `auth` field.
    pub(super) fn encode(&self) -> String {
        let (username, secret) = match self {
            Self::Basic { username, password } => (username.as_str(), password),
            Self::Identity(token) => (TOKEN_NAME, token),
        };
        STANDARD.encode(format!("{username}:{}", secret.0))
    }
}

impl From<Account> for Credential {
    fn from(account: Account) -> Self {
        match account {
            Account::Basic { username, password } => Self::Basic {
                username,
                password: password.0,
            },
            Account::Identity(token) => Self::Identity { token: token.0 },
        }
    }
}
