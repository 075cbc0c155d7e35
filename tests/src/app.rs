//! Source folders of tests.

use std::path::{Path, PathBuf};

use crate::{Locald, builder, locald};

/// A temporary source folder.
#[derive(Debug)]
pub struct App {
    directory: tempfile::TempDir,
    root: PathBuf,
}

impl App {
    /// An empty folder with a name.
    pub fn empty(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join(name);
        fs_err::create_dir(&root).unwrap();
        Self { directory, root }
    }

    /// The web application of the demo.
    pub fn web() -> Self {
        let app = Self::empty("web");
        app.write("app.py", include_str!("../../scripts/demo-app/app.py"));
        app
    }

    /// An application for the buildpack `test/probe`, which runs a script in
    /// its build.
    pub fn probe(script: &str) -> Self {
        let app = Self::empty("probe");
        app.write("probe.sh", script);
        app
    }

    /// `locald build` of it with the builder of the tests.
    pub fn build(&self, name: &str) -> Locald {
        locald(["build", &self.text(), "-t", name, "--builder", &builder()])
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The same as text.
    pub fn text(&self) -> String {
        self.root.to_str().unwrap().to_owned()
    }

    /// The directory that the folder is in.
    pub fn outside(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
}
