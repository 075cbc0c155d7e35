//! Watches `locald.toml` while services run, and warns that a change applies
//! from the next `locald up`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use protocol::Failure;

use crate::output::Printer;
use crate::platform::home::Home;
use crate::project::Project;
use crate::settings::{self, Settings};
use crate::sync::watch::Watch;

/// The services' settings at the start of `locald up`.
#[derive(Clone)]
pub(super) struct ServiceSettings {
    folder: PathBuf,
    home: Home,
    services: settings::Services,
}

impl ServiceSettings {
    pub(super) fn of(project: &Project, home: &Home, settings: &Settings) -> Self {
        Self {
            folder: project.folder.clone(),
            home: home.clone(),
            services: settings.services().clone(),
        }
    }

    /// Warns when the services in `locald.toml` differ from those that run.
    pub(super) async fn watch(self, mut printer: Printer) -> Result<(), Failure> {
        let (mut watch, _) = Watch::new();
        let mut told = BTreeSet::new();
        loop {
            let folder = || std::iter::once(self.folder.as_path());
            // If the system cannot watch files, the watches of the sources have
            // already warned about it.
            let _ = watch.set(folder(), folder());
            // Ignore a file with an error: the next build of a source reports
            // it.
            let settings = tokio::task::block_in_place(|| Settings::load(&self.folder, &self.home));
            let now = settings.map(|it| changed(&self.services, it.services()));
            let now = now.unwrap_or_else(|_| told.clone());
            if now != told && !now.is_empty() {
                let names: Vec<&str> = now.iter().map(String::as_str).collect();
                let text = format!(
                    "locald.toml says something else of {} now",
                    names.join(", ")
                );
                printer.warning(
                    &text,
                    Some("the change takes effect at the next `locald up`"),
                );
            }
            told = now;
            watch.changed().await;
        }
    }
}

/// Returns the names of services that are new, removed or changed.
fn changed(old: &settings::Services, new: &settings::Services) -> BTreeSet<String> {
    let all = old.keys().chain(new.keys());
    all.filter(|name| old.get(*name) != new.get(*name))
        .cloned()
        .collect()
}
