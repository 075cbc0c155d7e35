//! A store with an image that must survive everything.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{App, Locald, builder, locald, setting};

use super::scenario::Scenario;

/// Exit code of a process that was killed.
const KILLED: i32 = 128 + 9;

/// Contents of files by their paths.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A store of its own.
pub(crate) struct Place {
    home: tempfile::TempDir,
    pub(crate) app: App,
    changes: Cell<u32>,
    earlier: Files,
}

impl Place {
    pub(crate) fn new() -> Self {
        let mut place = Self {
            home: tempfile::tempdir().unwrap(),
            app: App::probe("true"),
            changes: Cell::default(),
            earlier: Files::new(),
        };
        let app = App::probe("true");
        app.write("said", "I was there before");
        let build = [
            "build",
            &app.text(),
            "-t",
            "earlier",
            "--builder",
            &builder(),
        ];
        place.locald(&build).succeed();
        place.earlier = place.export();
        place
    }

    /// A command of the program that everybody has.
    pub(crate) fn locald(&self, arguments: &[&str]) -> Locald {
        locald(arguments)
            .home(self.home.path())
            .without("LOCALD_AGENT")
    }

    /// Where exports go.
    pub(crate) fn outside(&self) -> &Path {
        self.app.outside()
    }

    /// The next build has something to do.
    pub(crate) fn change_source(&self) {
        self.changes.set(self.changes.get() + 1);
        self.app
            .write("changing", &format!("change {}", self.changes.get()));
    }

    /// Kills a command after each of its steps; returns the steps.
    pub(crate) fn kill_at_each_step(&self, scenario: &Scenario) -> Vec<String> {
        let steps = self.trace(scenario);
        for step in &steps {
            let at = format!("{} at {step}", scenario.name);
            (scenario.prepare)(self);
            let killed = self
                .with_points(scenario)
                .env("LOCALD_CRASH_AT", step)
                .run();
            assert_eq!(killed.code, KILLED, "{at}: {}", killed.stderr);
            if !scenario.damaged {
                self.assert_sound(&at);
            }
            let again = (scenario.command)(self);
            let again: Vec<&str> = again.iter().map(String::as_str).collect();
            let again = self.locald(&again).run();
            assert!(
                scenario.again.contains(&again.code),
                "{at}, and again: {}",
                again.stderr
            );
            if scenario.damaged {
                self.assert_sound(&at);
            }
        }
        self.assert_sound(scenario.name);
        steps
    }

    /// The steps that a command comes to, each once.
    fn trace(&self, scenario: &Scenario) -> Vec<String> {
        (scenario.prepare)(self);
        let trace = self.home.path().join("trace");
        fs_err::write(&trace, "").unwrap();
        self.with_points(scenario)
            .env("LOCALD_CRASH_TRACE", trace.to_str().unwrap())
            .succeed();
        let mut steps: Vec<String> = Vec::new();
        for step in fs_err::read_to_string(trace).unwrap().lines() {
            if !steps.iter().any(|known| known == step) && !scenario.left_out.contains(&step) {
                steps.push(step.to_owned());
            }
        }
        assert!(!steps.is_empty(), "{} has no step", scenario.name);
        steps
    }

    fn with_points(&self, scenario: &Scenario) -> Locald {
        let mut command = Command::new(setting("LOCALD_CRASH_BIN"));
        command.args((scenario.command)(self));
        Locald::of(command).home(self.home.path())
    }

    /// The store is sound, and the earlier image is what it was, and runs.
    fn assert_sound(&self, when: &str) {
        let verified = self.locald(&["store", "verify"]).run();
        let said = format!("{when}: {}{}", verified.stdout, verified.stderr);
        assert_eq!(verified.code, 0, "{said}");
        assert!(self.earlier == self.export(), "{when}: another image");
        let run = [
            "run",
            "--command",
            "earlier",
            "--",
            "cat",
            "/workspace/said",
        ];
        let run = self.locald(&run).run();
        assert_eq!(run.stdout, "I was there before", "{when}: {}", run.stderr);
    }

    fn export(&self) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let target = format!("oci:{}", folder.path().join("image").display());
        self.locald(&["image", "export", "earlier", &target])
            .succeed();
        files(folder.path())
    }

    fn blobs(&self) -> PathBuf {
        self.home.path().join("store/blobs/sha256")
    }

    /// The layers of the run image, of which the store needs no blob.
    fn fetched_blobs(&self) -> Vec<PathBuf> {
        let inspect = ["image", "inspect", "earlier", "--json"];
        let inspected = self.locald(&inspect).succeed().json().remove(0);
        let label = &inspected["config"]["config"]["Labels"]["io.buildpacks.lifecycle.metadata"];
        let metadata: serde_json::Value = serde_json::from_str(label.as_str().unwrap()).unwrap();
        let diff_ids = inspected["config"]["rootfs"]["diff_ids"]
            .as_array()
            .unwrap();
        let top = &metadata["runImage"]["topLayer"];
        let count = diff_ids.iter().position(|id| id == top).unwrap() + 1;
        let layers = inspected["manifest"]["layers"].as_array().unwrap();
        let digests = layers[..count].iter().map(|layer| layer["digest"].as_str());
        let hex = digests.map(|digest| &digest.unwrap()["sha256:".len()..]);
        hex.map(|hex| self.blobs().join(hex)).collect()
    }

    /// An export must fetch again what the run image has.
    pub(crate) fn lose_fetched_blobs(&self) {
        for blob in self.fetched_blobs() {
            fs_err::remove_file(blob).unwrap();
        }
    }

    /// The tree of a layer is not what was extracted.
    pub(crate) fn change_a_tree(&self) {
        let layers = self.home.path().join("store/layers");
        let layer = fs_err::read_dir(layers).unwrap().next().unwrap();
        fs_err::write(layer.unwrap().path().join("added"), "").unwrap();
    }

    /// The index was removed; its copy is there.
    pub(crate) fn lose_the_index(&self) {
        fs_err::remove_file(self.home.path().join("store/index.json")).unwrap();
    }

    /// One of them is not what it was, and so is a blob that no image needs.
    pub(crate) fn damage_blobs(&self) {
        for blob in [&self.fetched_blobs()[0], &self.blobs().join("0".repeat(64))] {
            fs_err::write(blob, "something else").unwrap();
        }
    }
}

fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs_err::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(root).unwrap().to_owned();
            found.insert(name, fs_err::read(path).unwrap());
        }
    }
    found
}
