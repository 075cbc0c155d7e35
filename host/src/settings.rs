//! Merges the settings. Precedence: command line, variables such as
//! `LOCALD_MACHINE`, `locald.toml`, `project.toml`, the builder that the project
//! remembers, `config.toml`, defaults. `service` reads the services.

use std::path::{Path, PathBuf};

use protocol::BuildVariable;
use protocol::request::{EmbeddedBuildpacks, RegistryAccess};

use crate::platform::control_file;
use crate::platform::home::Home;
use crate::project::Boundary;

mod build_table;
mod buildpack;
mod choice;
mod descriptor;
mod document;
mod environment;
mod error;
mod inline;
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
pub(crate) use choice::{GitIgnoreChoice, NetworkChoice, PullChoice};
pub(crate) use environment::EnvArgument;
pub(crate) use error::SettingsError;
pub(crate) use inline::{BuildpackFile, InlineBuildpack};
pub(crate) use machine::{GuestImage, MachineTable, Shape, Size};
pub(crate) use machine_kind::{MACHINE_VARIABLE, MachineKind, SshDestination};
pub(crate) use name::ImageName;
pub(crate) use overrides::BuildOverrides;
pub(crate) use registries::Registries;
pub(crate) use remembered::Remembered;
pub(crate) use service::{HealthCheck, Origin, Probe, Service, ServiceKind, Services, levels};
pub(crate) use suggestion::nearest;

use buildpack::BuildpackSource;
use descriptor::{Descriptor, Entry};
use environment::read_env_file;
use project_file::ProjectFile;
use user_file::UserFile;

/// The builder when nobody names one.
const DEFAULT_BUILDER: &str = "heroku/builder:26";

/// More buildpacks than any build has: each is looked at, and some are mounted.
const MOST_BUILDPACKS: usize = 1000;

/// All settings files that concern a folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    project: ProjectFile,
    descriptor: Descriptor,
    /// Where the descriptor is, if it is not the project's own.
    elsewhere: Option<Elsewhere>,
    user: UserFile,
    /// How far the project's files may reach.
    boundary: Boundary,
    /// The builder that a command line of this project named last.
    remembered: Option<String>,
}

/// A project.toml that the command line names.
#[derive(Debug, Clone)]
struct Elsewhere {
    file: PathBuf,
    /// What it names is seen from here.
    folder: PathBuf,
    boundary: Boundary,
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
    /// Those that come first in each group.
    pub(crate) pre_buildpacks: Vec<BuildpackChoice>,
    /// Those that come last in each group.
    pub(crate) post_buildpacks: Vec<BuildpackChoice>,
    /// Whether locald's own buildpacks are tried.
    pub(crate) embedded: EmbeddedBuildpacks,
    pub(crate) env: Vec<BuildVariable>,
    pub(crate) network: NetworkChoice,
    pub(crate) pull: PullChoice,
    pub(crate) default_process: Option<String>,
    pub(crate) filter: SourceFilter,
    pub(crate) gitignore: GitIgnoreChoice,
    /// The file that the filter comes from.
    pub(crate) descriptor: PathBuf,
    /// Keys of it that mean nothing.
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
        let settings = Self::load_without_descriptor(folder, home)?;
        let path = folder.join("project.toml");
        let descriptor = document::read(&path, Some(&settings.boundary), Descriptor::parse)?;
        Ok(Self {
            descriptor,
            ..settings
        })
    }

    /// The same, but for its project.toml.
    pub(crate) fn load_without_descriptor(
        folder: &Path,
        home: &Home,
    ) -> Result<Self, SettingsError> {
        let user = document::read(&home.configuration, None, UserFile::parse)?;
        let boundary = Boundary::of(folder).with_trusted(&user.trust.folders);
        let path = folder.join("locald.toml");
        let project = document::read(&path, Some(&boundary), ProjectFile::parse)?;
        Ok(Self {
            project,
            user,
            boundary,
            ..Self::default()
        })
    }

    /// The user's settings alone, for a source without files of its own.
    pub(crate) fn load_without_project(folder: &Path, home: &Home) -> Result<Self, SettingsError> {
        let user = document::read(&home.configuration, None, UserFile::parse)?;
        Ok(Self {
            user,
            boundary: Boundary::of(folder),
            ..Self::default()
        })
    }

    /// The same with a project.toml that the user names instead of the folder's
    /// own.
    pub(crate) fn with_descriptor(mut self, file: &Path) -> Result<Self, SettingsError> {
        let unreadable = |source| SettingsError::Unreadable {
            path: file.to_owned(),
            source,
        };
        let bytes = control_file::read(file).map_err(unreadable)?;
        let text = control_file::text(bytes).map_err(unreadable)?;
        self.descriptor = Descriptor::parse(file, &text)?;
        let real = dunce::canonicalize(file).map_err(unreadable)?;
        let folder = real.parent().unwrap_or(Path::new("")).to_owned();
        self.elsewhere = Some(Elsewhere {
            file: file.to_owned(),
            boundary: Boundary::of(&folder).with_trusted(&self.user.trust.folders),
            folder,
        });
        Ok(self)
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
        let places = Places::of(self, folder);
        let pre = places.choose(&flags.pre_buildpacks, &[], &self.descriptor.pre)?;
        let post = places.choose(&flags.post_buildpacks, &[], &self.descriptor.post)?;
        let own = &self.project.build.buildpacks;
        let group = places.choose(&flags.buildpacks, own, &self.descriptor.group)?;
        let count = pre.len() + group.len() + post.len();
        if count > MOST_BUILDPACKS {
            return Err(SettingsError::TooManyBuildpacks { count });
        }
        Ok(BuildSettings {
            names,
            renamed_from,
            builder,
            builder_origin,
            run_image: first([&flags.run_image, &table.run_image, &none, &none]),
            buildpacks: group,
            // As with pack: each is put before all that are there already.
            pre_buildpacks: pre.into_iter().rev().collect(),
            post_buildpacks: post,
            embedded: self.embedded(flags),
            env: self.env(flags)?,
            network: (flags.network.or(table.network).or(self.user.build.network))
                .unwrap_or(NetworkChoice::Host),
            pull: (flags.pull.or(table.pull).or(self.user.build.pull)).unwrap_or(PullChoice::Daily),
            default_process: first([&flags.default_process, &table.default_process, &none, &none]),
            filter: if flags.include.is_empty() {
                self.descriptor.filter.clone()
            } else {
                SourceFilter::Include(flags.include.clone())
            },
            gitignore: if flags.leaves_out_gitignore || table.gitignore == Some(false) {
                GitIgnoreChoice::LeftOut
            } else {
                GitIgnoreChoice::Count
            },
            descriptor: match &self.elsewhere {
                Some(elsewhere) => elsewhere.file.clone(),
                None => folder.join("project.toml"),
            },
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

/// Where the files of a build that name buildpacks are.
struct Places<'a> {
    own: BuildpackSource<'a>,
    descriptor: BuildpackSource<'a>,
}

impl<'a> Places<'a> {
    fn of(settings: &'a Settings, folder: &'a Path) -> Self {
        let own = BuildpackSource::Project {
            folder,
            boundary: &settings.boundary,
        };
        let elsewhere = settings.elsewhere.as_ref();
        let descriptor = elsewhere.map(|elsewhere| BuildpackSource::Project {
            folder: &elsewhere.folder,
            boundary: &elsewhere.boundary,
        });
        let descriptor = descriptor.unwrap_or(own);
        Self { own, descriptor }
    }

    /// The buildpacks of the first list that has any: the command line's, that
    /// of locald.toml, that of project.toml.
    fn choose(
        &self,
        flags: &[String],
        own: &[String],
        descriptor: &[Entry],
    ) -> Result<Vec<BuildpackChoice>, SettingsError> {
        for (texts, place) in [(flags, BuildpackSource::CommandLine), (own, self.own)] {
            if !texts.is_empty() {
                let choices = texts.iter().map(|text| BuildpackChoice::find(text, place));
                return choices.collect();
            }
        }
        let choices = descriptor.iter().map(|entry| match entry {
            Entry::Named(text) => BuildpackChoice::find(text, self.descriptor),
            Entry::Inline(buildpack) => Ok(BuildpackChoice::Inline(buildpack.clone())),
        });
        choices.collect()
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
