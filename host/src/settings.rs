//! Settings: flags beat the project's `locald.toml`, that beats its
//! `project.toml`, that beats the user's configuration, that beats the default.

use std::path::Path;

use protocol::BuildVariable;
use protocol::request::{EmbeddedBuildpacks, RegistryAccess};

use crate::platform::home::Home;
use crate::project::Boundary;

mod build_table;
mod buildpack;
mod choice;
mod descriptor;
mod document;
mod environment;
mod error;
mod machine;
mod machine_kind;
mod name;
mod overrides;
mod project_file;
mod registries;
mod remembered;
mod service;
mod suggestion;
mod user_file;
mod variable;

pub(crate) use build_table::BuildTable;
pub(crate) use buildpack::BuildpackChoice;
pub(crate) use choice::{NetworkChoice, PullChoice};
pub(crate) use environment::EnvArgument;
pub(crate) use error::SettingsError;
pub(crate) use machine::{GuestImage, MachineTable, Shape, Size};
pub(crate) use machine_kind::{MACHINE_VARIABLE, MachineKind, SshDestination};
pub(crate) use name::ImageName;
pub(crate) use overrides::BuildOverrides;
pub(crate) use registries::Registries;
pub(crate) use remembered::Remembered;
pub(crate) use service::{HealthCheck, Origin, Probe, Service, ServiceKind, Services, levels};
pub(crate) use suggestion::nearest;

use buildpack::Place;
use descriptor::Descriptor;
use environment::read_env_file;
use project_file::ProjectFile;
use user_file::UserFile;

/// The builder when nobody names one.
const DEFAULT_BUILDER: &str = "heroku/builder:26";

/// All settings files that concern a folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    project: ProjectFile,
    descriptor: Descriptor,
    user: UserFile,
    /// How far the project's files may reach.
    boundary: Boundary,
    /// The builder that a command line of this project named last.
    remembered: Option<String>,
}

/// What a build is made of, all sources considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuildSettings {
    pub(crate) names: Vec<String>,
    /// The text that the only name was made from, when it differs from it.
    pub(crate) renamed_from: Option<String>,
    pub(crate) builder: String,
    pub(crate) builder_origin: BuilderOrigin,
    pub(crate) run_image: Option<String>,
    pub(crate) buildpacks: Vec<BuildpackChoice>,
    /// Whether locald's own buildpacks are tried.
    pub(crate) embedded: EmbeddedBuildpacks,
    pub(crate) env: Vec<BuildVariable>,
    pub(crate) network: NetworkChoice,
    pub(crate) pull: PullChoice,
    pub(crate) default_process: Option<String>,
    pub(crate) filter: SourceFilter,
    /// Keys of project.toml that mean nothing.
    pub(crate) unknown_keys: Vec<String>,
}

/// Who chose a builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuilderOrigin {
    /// The command line.
    Flag,
    /// A file of the project's.
    Project,
    /// The command line of an earlier command.
    Remembered,
    /// The user's own configuration.
    User,
    /// Nobody.
    Default,
}

impl BuilderOrigin {
    /// For people, where they did not choose it in this very moment.
    pub(crate) const fn explained(self) -> Option<&'static str> {
        match self {
            Self::Flag | Self::Project => None,
            Self::Remembered => Some("the one that `-B` named last for this project"),
            Self::User => Some("the one of your config.toml"),
            Self::Default => Some("the default"),
        }
    }
}

/// Which files of the folder are the application's, by `project.toml`:
/// patterns in gitignore's syntax.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum SourceFilter {
    /// All that no ignore file excludes.
    #[default]
    All,
    /// Only these.
    Include(Vec<String>),
    /// All but these.
    Exclude(Vec<String>),
}

impl Settings {
    /// Reads the settings files of a project's folder, and the user's.
    pub(crate) fn load(folder: &Path, home: &Home) -> Result<Self, SettingsError> {
        let user = document::read(&home.configuration, None, UserFile::parse)?;
        let boundary = Boundary::of(folder).with_trusted(&user.trust.folders);
        let own = |name| (folder.join(name), Some(&boundary));
        let (path, within) = own("locald.toml");
        let project = document::read(&path, within, ProjectFile::parse)?;
        let (path, within) = own("project.toml");
        let descriptor = document::read(&path, within, Descriptor::parse)?;
        Ok(Self {
            project,
            descriptor,
            user,
            boundary,
            remembered: None,
        })
    }

    /// The same with what is remembered of a project.
    #[must_use]
    pub(crate) fn with(mut self, remembered: &Remembered) -> Self {
        self.remembered = remembered.builder();
        self
    }

    /// Decides what a build of `folder` is made of.
    pub(crate) fn build(
        &self,
        folder: &Path,
        flags: &BuildOverrides,
    ) -> Result<BuildSettings, SettingsError> {
        let table = &self.project.build;
        let first =
            |candidates: [&Option<String>; 4]| candidates.into_iter().flatten().next().cloned();
        let (names, renamed_from) = self.names(folder, flags);
        let (builder, builder_origin) = self.builder(flags);
        let none = None;
        Ok(BuildSettings {
            names,
            renamed_from,
            builder,
            builder_origin,
            run_image: first([&flags.run_image, &table.run_image, &none, &none]),
            buildpacks: self.buildpacks(folder, flags)?,
            embedded: self.embedded(flags),
            env: self.env(flags)?,
            network: (flags.network.or(table.network).or(self.user.build.network))
                .unwrap_or(NetworkChoice::Host),
            pull: (flags.pull.or(table.pull).or(self.user.build.pull)).unwrap_or(PullChoice::Daily),
            default_process: first([&flags.default_process, &table.default_process, &none, &none]),
            filter: self.descriptor.filter.clone(),
            unknown_keys: self.descriptor.unknown_keys.clone(),
        })
    }

    fn builder(&self, flags: &BuildOverrides) -> (String, BuilderOrigin) {
        let candidates = [
            (&flags.builder, BuilderOrigin::Flag),
            (&self.project.build.builder, BuilderOrigin::Project),
            (&self.descriptor.builder, BuilderOrigin::Project),
            (&self.remembered, BuilderOrigin::Remembered),
            (&self.user.build.builder, BuilderOrigin::User),
        ];
        let mut named = candidates.into_iter();
        let chosen = named.find_map(|(name, origin)| Some((name.clone()?, origin)));
        chosen.unwrap_or_else(|| (DEFAULT_BUILDER.to_owned(), BuilderOrigin::Default))
    }

    /// The programs that the project consists of.
    pub(crate) fn services(&self) -> &Services {
        &self.project.services
    }

    /// The project's own name, or its folder's.
    pub(crate) fn project_name(&self, folder: &Path) -> String {
        self.project.project.name.clone().unwrap_or_else(|| {
            let name = folder.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        })
    }

    /// The settings of a build that only one service has, of the source in
    /// `folder`. Its image is `name` unless the service names it.
    pub(crate) fn of_service(
        &self,
        table: &BuildTable,
        folder: &Path,
        name: String,
    ) -> Result<Self, SettingsError> {
        let mut settings = self.clone();
        settings.project.build = table.over(&self.project.build);
        settings.project.build.name.get_or_insert(name);
        let path = folder.join("project.toml");
        settings.descriptor = document::read(&path, Some(&self.boundary), Descriptor::parse)?;
        Ok(settings)
    }

    /// How registries are reached, and whose settings the project's file made.
    pub(crate) fn registries(&self) -> Result<Registries, SettingsError> {
        Registries::merge(
            &self.user.registries,
            &self.project.registries,
            &self.boundary,
        )
    }

    /// How far the project's files may reach.
    pub(crate) const fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// Which machine builds, and its size: the user's word alone.
    pub(crate) fn machine(&self) -> &MachineTable {
        &self.user.machine
    }

    fn names(&self, folder: &Path, flags: &BuildOverrides) -> (Vec<String>, Option<String>) {
        if !flags.names.is_empty() {
            return (flags.names.clone(), None);
        }
        if let Some(name) = &self.project.build.name {
            return (vec![name.clone()], None);
        }
        let folder_name = || folder.file_name().unwrap_or_default().to_string_lossy();
        let text = (self.project.project.name.as_deref())
            .map_or_else(folder_name, std::borrow::Cow::Borrowed);
        let name = ImageName::from_text(&text);
        let renamed_from = (name.as_str() != text).then(|| text.into_owned());
        (vec![name.into()], renamed_from)
    }

    fn embedded(&self, flags: &BuildOverrides) -> EmbeddedBuildpacks {
        let files = self.project.build.embedded.or(self.user.build.embedded);
        if flags.leaves_out_embedded || files == Some(false) {
            EmbeddedBuildpacks::LeftOut
        } else {
            EmbeddedBuildpacks::Last
        }
    }

    fn buildpacks(
        &self,
        folder: &Path,
        flags: &BuildOverrides,
    ) -> Result<Vec<BuildpackChoice>, SettingsError> {
        let project = Place::Project {
            folder,
            boundary: &self.boundary,
        };
        let sources = [
            (&flags.buildpacks, Place::CommandLine),
            (&self.project.build.buildpacks, project),
            (&self.descriptor.group, project),
        ];
        let named = sources.into_iter().find(|(texts, _)| !texts.is_empty());
        let Some((texts, place)) = named else {
            return Ok(Vec::new());
        };
        let choices = texts.iter().map(|text| BuildpackChoice::find(text, place));
        choices.collect()
    }

    /// Variables by name; a later source's value replaces an earlier one's.
    fn env(&self, flags: &BuildOverrides) -> Result<Vec<BuildVariable>, SettingsError> {
        let mut arguments = Vec::new();
        for file in &flags.env_files {
            arguments.extend(read_env_file(file)?);
        }
        arguments.extend(flags.env.iter().cloned());
        let mut variables: Vec<BuildVariable> = Vec::new();
        let descriptor = self.descriptor.env.iter().cloned();
        for (name, value) in descriptor.chain(self.project.build.env.clone()) {
            set(&mut variables, variable::of(name, value));
        }
        for argument in arguments {
            if let Some(variable) = argument.resolve_for_build()? {
                set(&mut variables, variable);
            }
        }
        Ok(variables)
    }
}

fn set(variables: &mut Vec<BuildVariable>, variable: BuildVariable) {
    match variables
        .iter_mut()
        .find(|known| known.name == variable.name)
    {
        Some(known) => known.value = variable.value,
        None => variables.push(variable),
    }
}

/// What the agent must know to reach registries, proxies included.
pub(crate) fn access(registries: &Registries) -> RegistryAccess {
    RegistryAccess {
        registries: registries.settings.clone(),
        proxies: registries::proxies(|name| std::env::var(name).ok()),
        extra_ca: None,
    }
}

#[cfg(test)]
mod tests;
