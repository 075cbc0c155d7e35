//! Cargo projects of tests.

use std::path::Path;
use std::process::Command;

use crate::{App, Output, locald, registry};

/// The builder of `scripts/builder` that also has a Rust toolchain.
pub fn rust_builder() -> String {
    format!("{}/demo/rust-builder", registry())
}

/// A Cargo project, and the image that it becomes.
#[derive(Debug)]
pub struct CargoProject {
    /// Its folder.
    pub app: App,
    image: String,
    builder: String,
}

impl CargoProject {
    /// A package with a binary of its name.
    pub fn new(name: &str, dependencies: &str, main: &str) -> Self {
        let project = Self::empty(name);
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\n"
        );
        project.app.write("Cargo.toml", &manifest);
        project.app.write("src/main.rs", main);
        project
    }

    /// A folder with nothing in it.
    pub fn empty(name: &str) -> Self {
        Self {
            app: App::empty(name),
            image: crate::unique(name),
            builder: rust_builder(),
        }
    }

    /// Builds with another builder.
    #[must_use]
    pub fn with_builder(mut self, builder: String) -> Self {
        self.builder = builder;
        self
    }

    /// The name of its image.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Writes `Cargo.lock`, by this machine's own Cargo.
    pub fn lock(&self) {
        self.cargo(&["generate-lockfile"]);
    }

    /// Runs this machine's Cargo in it.
    pub fn cargo(&self, arguments: &[&str]) -> String {
        run(self.app.path(), "cargo", arguments)
    }

    /// `locald build`, with more arguments.
    pub fn locald(&self, arguments: &[&str]) -> crate::Locald {
        let folder = self.app.text();
        let own = [
            "build",
            &folder,
            "-t",
            &self.image,
            "--builder",
            &self.builder,
        ];
        locald([&own, arguments].concat())
    }

    /// Builds, with all that the buildpack says.
    pub fn build(&self, arguments: &[&str]) -> String {
        let output = self.locald(&[&["-v"], arguments].concat()).succeed();
        output.all()
    }

    /// Runs a process of the image.
    pub fn run(&self, arguments: &[&str]) -> Output {
        locald([&["run", &self.image], arguments].concat()).succeed()
    }

    /// Runs a program in the project's shell; returns all that it says.
    pub fn develop(&self, program: &[&str]) -> String {
        let folder = self.app.text();
        let output = locald([&["shell", &folder, "--"], program].concat()).succeed();
        output.all()
    }

    /// Runs a command in the image.
    pub fn shell(&self, script: &str) -> String {
        let command = ["run", "--command", &self.image, "--", "sh", "-c", script];
        locald(command).succeed().stdout
    }
}

/// The packages that Cargo says it compiles.
pub fn compiled(said: &str) -> Vec<&str> {
    let lines = said.lines().map(str::trim);
    let of_cargo = lines.filter_map(|line| line.strip_prefix("Compiling "));
    of_cargo.filter_map(|rest| rest.split(' ').next()).collect()
}

/// Runs a program in a folder; it must end well.
pub fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let errors = said(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    said(&output.stdout)
}
