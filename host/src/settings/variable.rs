//! Parses variables for buildpacks in settings files.

use protocol::{BadVariableName, BuildVariable, VariableName};
use serde::Deserialize;

/// A variable's name. Parsing refuses an invalid one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Name(VariableName);

/// A variable's value: text without a zero byte.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Value(String);

#[derive(Debug, thiserror::Error)]
#[error("the value of a variable holds a zero byte")]
pub(super) struct ZeroByte;

/// Makes the variable for the lifecycle.
pub(super) fn of(name: Name, value: Value) -> BuildVariable {
    BuildVariable {
        name: name.0,
        value: value.0,
    }
}

impl TryFrom<String> for Name {
    type Error = BadVariableName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.try_into().map(Self)
    }
}

impl TryFrom<String> for Value {
    type Error = ZeroByte;

    fn try_from(value: String) -> Result<Self, Self::Error> {
        if value.contains('\0') {
            return Err(ZeroByte);
        }
        Ok(Self(value))
    }
}
