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

/// The inputs of a build. Each rebuild reads the settings and lists the source
/// again.
#[derive(Debug, Clone)]
pub(super) struct BuildInputs {
    pub(super) home: Home,
    /// The folder whose `locald.toml` applies.
    pub(super) root: PathBuf,
    /// The source to build.
    pub(super) source: Project,
    /// The build table of the service, and the name of its image.
    pub(super) own: Option<(BuildTable, String)>,
    /// The builder that the command line names.
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

/// Rebuilds an image whenever its source changes.
pub(super) struct Rebuilder {
    inputs: BuildInputs,
    prepared: PreparedBuild,
    /// Digest of the last successful build.
    digest: Option<String>,
    /// The last failure to list the source or to read its settings.
    trouble: Option<Failure>,
    watch: Watch,
}

impl Rebuilder {
    /// Watches the source of a build. `digest` is the digest of its image;
    /// absent if it is not built yet.
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

    /// Whether a build has succeeded.
    pub(super) const fn has_image(&self) -> bool {
        self.digest.is_some()
    }

    /// Waits until a change of the source results in another image. Returns the
    /// image's name. Prints the failure of a build, and then waits for the next
    /// change.
    pub(super) async fn next(&mut self, session: &Session, printer: &mut Printer) -> String {
        loop {
            self.watch.changed().await;
            let changes = match self.look(printer) {
                Ok(changes) => changes,
                Err(failure) => {
                    // The watch may wake without a change. Print the same
                    // failure only once.
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

    /// Lists the source again. Returns the paths that have changed since the
    /// last listing.
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
            // Files may have changed before the watch began. Look again.
            Ok(Grown::Yes) => self.watch.wake(),
            Ok(Grown::No) => {}
            Err(polling) => polling.tell(printer),
        }
    }

    /// Prints the result of a build. Returns the image's name if its digest is
    /// new.
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
