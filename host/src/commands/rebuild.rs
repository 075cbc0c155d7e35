//! Builds a source again whenever it changes, for `run --watch` and `up`.

use std::path::PathBuf;
use std::time::Instant;

use protocol::Failure;
use protocol::event::Built;

use super::build::{self, PreparedBuild};
use crate::cli::BuildOptions;
use crate::connection::session::Session;
use crate::output::{Detail, Printer, duration};
use crate::platform::home::Home;
use crate::project::Project;
use crate::settings::{BuildTable, Settings};
use crate::sync::watch::{Grown, Watch};

/// How a plan is made, again and again: settings may change as files do.
#[derive(Debug, Clone)]
pub(super) struct BuildInputs {
    pub(super) home: Home,
    /// The folder whose `locald.toml` counts.
    pub(super) root: PathBuf,
    /// What is built.
    pub(super) source: Project,
    /// What a service says itself, and the name of its image.
    pub(super) own: Option<(BuildTable, String)>,
    /// What the command line says.
    pub(super) builder: Option<String>,
}

impl BuildInputs {
    /// Reads the settings and lists the source.
    pub(super) fn prepare(&self, detail: Detail) -> Result<PreparedBuild, Failure> {
        let mut settings = Settings::load(&self.root, &self.home)?;
        let folder = &self.source.folder;
        if let Some((table, name)) = &self.own {
            settings = settings.of_service(table, folder, name.clone())?;
        }
        let flags = BuildOptions::of(Some(folder.clone()), self.builder.clone());
        PreparedBuild::prepare(&self.source, &self.home, &settings, &flags, detail)
    }
}

/// Keeps an image as new as its source.
pub(super) struct Rebuilder {
    inputs: BuildInputs,
    prepared: PreparedBuild,
    /// Of the last build that went well.
    digest: Option<String>,
    /// Why the source could not be listed, or its settings be read.
    trouble: Option<Failure>,
    watch: Watch,
}

impl Rebuilder {
    /// Watches the source of a plan, which was built just now, or is not yet.
    pub(super) fn new(
        inputs: BuildInputs,
        prepared: PreparedBuild,
        digest: Option<String>,
        printer: &mut Printer,
    ) -> Self {
        let (watch, polling) = Watch::new();
        polling.iter().for_each(|polling| polling.tell(printer));
        let mut rebuilder = Self {
            inputs,
            prepared,
            digest,
            trouble: None,
            watch,
        };
        rebuilder.follow(printer);
        rebuilder
    }

    /// Whether something was built.
    pub(super) const fn has_image(&self) -> bool {
        self.digest.is_some()
    }

    /// Waits until the source has become another image; a build that fails is
    /// told, and the next change waited for.
    pub(super) async fn next(&mut self, session: &Session, printer: &mut Printer) -> String {
        loop {
            self.watch.changed().await;
            let changes = match self.look(printer) {
                Ok(changes) => changes,
                Err(failure) => {
                    // It may be looked at again before anything has changed.
                    if self.trouble.as_ref() != Some(&failure) {
                        printer.failure(&failure);
                    }
                    self.trouble = Some(failure);
                    continue;
                }
            };
            self.trouble = None;
            if changes.is_empty() {
                continue;
            }
            let start = Instant::now();
            self.prepared.log(&self.inputs.home, printer);
            match build::follow(self.prepared.clone(), session, printer).await {
                Ok(built) => {
                    if let Some(name) = self.finish(&built, &changes, start, printer) {
                        return name;
                    }
                }
                Err(failure) => {
                    printer.failure(&failure);
                    let until = match self.digest {
                        Some(_) => "The old process keeps running until",
                        None => "Nothing starts until",
                    };
                    printer.note(&format!("{until} the source builds again"));
                }
            }
            printer.clear();
        }
    }

    /// Lists the source again; returns what has changed since the last time.
    fn look(&mut self, printer: &mut Printer) -> Result<Vec<String>, Failure> {
        let prepared = tokio::task::block_in_place(|| self.inputs.prepare(printer.detail()))?;
        let changes = prepared.changes(&self.prepared);
        self.prepared = prepared;
        self.follow(printer);
        Ok(changes)
    }

    /// Watches all folders of the listing.
    fn follow(&mut self, printer: &mut Printer) {
        let trees = self.prepared.trees().iter().filter(|tree| tree.is_folder());
        let roots = trees.clone().map(|tree| &*tree.root);
        let folders = trees.flat_map(|tree| &tree.folders);
        match self.watch.set(roots, folders.map(PathBuf::as_path)) {
            // What came into them before they were watched is seen by looking.
            Ok(Grown::Yes) => self.watch.wake(),
            Ok(Grown::No) => {}
            Err(polling) => polling.tell(printer),
        }
    }

    /// Tells what was built; returns its name when it is another image.
    fn finish(
        &mut self,
        built: &Built,
        changes: &[String],
        start: Instant,
        printer: &mut Printer,
    ) -> Option<String> {
        let digest = self.digest.replace(built.digest.clone());
        let what = summary(changes);
        let name = self.prepared.name().to_owned();
        if digest.as_ref() == Some(&built.digest) {
            printer.note(&format!("{what}: {name} stays the same"));
            return None;
        }
        let time = duration(start.elapsed());
        printer.note(&format!("{what}: built {name} in {time}"));
        Some(name)
    }
}

/// `src/main.rs and 2 more changed`
fn summary(changes: &[String]) -> String {
    let first = changes.first().map_or("", String::as_str);
    match changes.len().saturating_sub(1) {
        0 => format!("{first} changed"),
        more => format!("{first} and {more} more changed"),
    }
}
