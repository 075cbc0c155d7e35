//! The environment of a container's program.

use protocol::request::EnvVar;

/// What a program finds its commands by when its image does not say.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Names and values, each name once, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment(Vec<(String, String)>);

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
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Sets a variable that has no value.
    pub(crate) fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_none_or(str::is_empty) {
            self.set(name, value);
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
        self.0
    }
}
