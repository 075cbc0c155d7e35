//! Stores the builder that a project's last command line named.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::platform::home::Home;
use crate::platform::state_file;

/// The file of a project's stored settings.
#[derive(Debug, Clone)]
pub(crate) struct Remembered(PathBuf);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// The builder that `--builder` named last.
    builder: Option<String>,
}

impl Remembered {
    /// Returns the file of the project with this identity.
    pub(crate) fn of(home: &Home, id: &str) -> Self {
        Self(home.projects.join(format!("{id}.json")))
    }

    /// Returns the builder that an earlier command line named.
    pub(crate) fn builder(&self) -> Option<String> {
        let bytes = fs_err::read(&self.0).ok()?;
        let content: Content = serde_json::from_slice(&bytes).ok()?;
        content.builder
    }

    /// Stores a builder. If that fails, the user must name it again.
    pub(crate) fn set_builder(&self, builder: &str) {
        if let Some(folder) = self.0.parent() {
            let _ = fs_err::create_dir_all(folder);
        }
        let builder = Some(builder.to_owned());
        let _ = state_file::write(&self.0, &Content { builder });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_project_has_a_memory_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::below(folder.path());
        let (shop, blog) = (Remembered::of(&home, "shop"), Remembered::of(&home, "blog"));
        assert_eq!(shop.builder(), None);
        shop.set_builder("a/b");
        shop.set_builder("c/d");
        assert_eq!(shop.builder().as_deref(), Some("c/d"));
        assert_eq!(blog.builder(), None);
    }
}
