//! Variables for buildpacks. The lifecycle reads each from a file in
//! `<platform>/env` (CNB platform specification, "User-Provided Variables"). So
//! the name of a variable is the name of a file.

use std::fmt;
use std::str::FromStr;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};

/// The maximum length of a file's name, in bytes.
const LONGEST: usize = 255;

/// The name of a variable, valid as the name of a file: 1 to 255 bytes without
/// `/`, `=` and NUL, and neither `.` nor `..`. Decoding checks it, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableName(String);

/// A variable for buildpacks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BuildVariable {
    /// Its name.
    pub name: VariableName,
    /// Its value, without NUL.
    pub value: String,
}

/// Why a text is not a valid [`VariableName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadVariableName {
    /// The text is empty.
    #[error("a variable has an empty name")]
    Empty,
    /// The text contains a character that names cannot have.
    #[error("the variable name {name:?} holds {character:?}")]
    Character {
        /// The text.
        name: String,
        /// The first such character.
        character: char,
    },
    /// The text is `.` or `..`.
    #[error("a variable cannot be called {0:?}")]
    Reserved(String),
    /// The text is longer than a file's name can be.
    #[error("the variable name {start:?}... is longer than {LONGEST} bytes")]
    Long {
        /// The first characters of the text.
        start: String,
    },
}

impl VariableName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VariableName {
    type Error = BadVariableName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.is_empty() {
            return Err(BadVariableName::Empty);
        }
        // `=` ends a name in an environment.
        if let Some(character) = name.chars().find(|it| matches!(it, '/' | '=' | '\0')) {
            return Err(BadVariableName::Character { name, character });
        }
        if matches!(name.as_str(), "." | "..") {
            return Err(BadVariableName::Reserved(name));
        }
        if name.len() > LONGEST {
            let start = name.chars().take(20).collect();
            return Err(BadVariableName::Long { start });
        }
        Ok(Self(name))
    }
}

impl FromStr for VariableName {
    type Err = BadVariableName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        name.to_owned().try_into()
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Encode for VariableName {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<Context> Decode<Context> for VariableName {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        checked(String::decode(decoder)?)
    }
}

impl<'de, Context> BorrowDecode<'de, Context> for VariableName {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        checked(String::borrow_decode(decoder)?)
    }
}

fn checked(name: String) -> Result<VariableName, DecodeError> {
    name.try_into()
        .map_err(|error: BadVariableName| DecodeError::OtherString(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_name_is_the_name_of_a_file() {
        for name in ["A", "npm_config_registry", "a.b-c", "...", "ä", "a b"] {
            assert_eq!(name.parse::<VariableName>().unwrap().as_str(), name);
        }
        let long = "A".repeat(LONGEST + 1);
        let odd = [
            "", ".", "..", "/", "a/b", "../a", "/a", "a/", "a=b", "a\0b", &long,
        ];
        for name in odd {
            assert!(name.parse::<VariableName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_wire_brings_no_other_name() {
        let config = bincode::config::standard();
        let decode = |name: &str| {
            let bytes = bincode::encode_to_vec((name, "value"), config).unwrap();
            bincode::decode_from_slice::<BuildVariable, _>(&bytes, config)
        };
        assert_eq!(decode("A").unwrap().0.name.as_str(), "A");
        for name in ["", "..", "../../../etc/cron.d/x", "/etc/x", "a=b"] {
            assert!(decode(name).is_err(), "{name:?}");
        }
    }
}
