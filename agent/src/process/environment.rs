//! Computes the environment of a container's program.

use std::collections::HashMap;

pub(crate) mod terminal;

use protocol::request::EnvVar;

/// The search path of a program whose image sets none.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variable that names the user's home directory.
pub(crate) const HOME: &str = "HOME";

/// Names and values, each name once, in the order of their first occurrence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    pairs: Vec<(String, String)>,
    /// The index of each name. A configuration may contain very many names.
    places: HashMap<String, usize>,
}

impl From<Vec<(String, String)>> for Environment {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut environment = Self::default();
        environment.extend(pairs);
        environment
    }
}

impl Environment {
    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let place = *self.places.get(name)?;
        Some(&self.pairs[place].1)
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if let Some(place) = self.places.get(name) {
            self.pairs[*place].1 = value;
        } else {
            self.places.insert(name.to_owned(), self.pairs.len());
            self.pairs.push((name.to_owned(), value));
        }
    }

    /// Sets a variable, unless it has a value.
    pub(crate) fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_none_or(str::is_empty) {
            self.set(name, value);
        }
    }

    /// Sets each of these variables, unless it has a value.
    pub(crate) fn set_defaults(&mut self, variables: &[EnvVar]) {
        for EnvVar { name, value } in variables {
            self.set_default(name, value);
        }
    }

    /// Sets all variables of a request.
    pub(crate) fn set_all(&mut self, variables: &[EnvVar]) {
        for EnvVar { name, value } in variables {
            self.set(name, value);
        }
    }

    /// Sets many variables.
    pub(crate) fn extend(&mut self, pairs: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in pairs {
            self.set(&name, value);
        }
    }

    /// All names and values.
    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.pairs
    }
}
