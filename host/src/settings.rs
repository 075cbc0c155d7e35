//! Merges the settings. Precedence: command line, variables such as
//! `LOCALD_MACHINE`, `locald.toml`, `project.toml`, the builder that the
//! project remembers, `config.toml`, defaults. `service` reads the services.

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

/// The builder if no setting names one.
const DEFAULT_BUILDER: &str = "heroku/builder:26";

/// The maximum number of buildpacks of a build, far more than one needs. Each
/// costs a check of its folder or image, and some cost a mount.
const MOST_BUILDPACKS: usize = 1000;

/// All settings that apply to a folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    project: ProjectFile,
    descriptor: Descriptor,
    /// The project.toml that the command line names.
    elsewhere: Option<Elsewhere>,
    user: UserFile,
    /// The folders that the project's files may name paths in.
    boundary: Boundary,
    /// The builder that an earlier command line of this project named.
    remembered: Option<String>,
}

/// A project.toml that the command line names.
#[derive(Debug, Clone)]
struct Elsewhere {
    file: PathBuf,
    /// The folder for relative paths in the file.
    folder: PathBuf,
    boundary: Boundary,
}

/// The merged settings of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuildSettings {
    pub(crate) names: Vec<String>,
    /// The text from which the only name was derived. Absent if they are equal.
    pub(crate) renamed_from: Option<String>,
    pub(crate) builder: String,
    pub(crate) builder_origin: BuilderOrigin,
    pub(crate) run_image: Option<String>,
    pub(crate) buildpacks: Vec<BuildpackChoice>,
    /// Buildpacks to put first in each group.
    pub(crate) pre_buildpacks: Vec<BuildpackChoice>,
    /// Buildpacks to put last in each group.
    pub(crate) post_buildpacks: Vec<BuildpackChoice>,
    /// Whether locald's own buildpacks take part.
    pub(crate) embedded: EmbeddedBuildpacks,
    pub(crate) env: Vec<BuildVariable>,
    pub(crate) network: NetworkChoice,
    pub(crate) pull: PullChoice,
    pub(crate) default_process: Option<String>,
    pub(crate) filter: SourceFilter,
    pub(crate) gitignore: GitIgnoreChoice,
    /// The file that the source filter comes from.
    pub(crate) descriptor: PathBuf,
    /// Unknown keys of that file.
    pub(crate) unknown_keys: Vec<String>,
}

/// The source of the builder setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuilderOrigin {
    /// The command line.
    Flag,
    /// A file of the project.
    Project,
    /// An earlier command line.
    Remembered,
    /// The user's configuration.
    User,
    /// The default.
    Default,
}

impl BuilderOrigin {
    /// Returns a phrase about the source. Returns `None` if the command line or
    /// the project names the builder.
    pub(crate) const fn explained(self) -> Option<&'static str> {
        match self {
            Self::Flag | Self::Project => None,
            Self::Remembered => Some("the one that `-B` named last for this project"),
            Self::User => Some("the one of your config.toml"),
            Self::Default => Some("the default"),
        }
    }
}

/// The files of a folder that belong to the source, by `project.toml`. Patterns
/// are as in `.gitignore`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum SourceFilter {
    /// All files that no ignore file excludes.
    #[default]
    All,
    /// Only files that match.
    Include(Vec<String>),
    /// All files except those that match.
    Exclude(Vec<String>),
}

impl Settings {
    /// Reads the settings files of a project's folder and of the user.
    pub(crate) fn load(folder: &Path, home: &Home) -> Result<Self, SettingsError> {
        let settings = Self::load_without_descriptor(folder, home)?;
        let path = folder.join("project.toml");
        let descriptor = document::read(&path, Some(&settings.boundary), Descriptor::parse)?;
        Ok(Self {
            descriptor,
            ..settings
        })
    }

    /// Like [`load`](Self::load), without the project.toml.
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

    /// Reads only the user's settings, for a source without settings files.
    pub(crate) fn load_without_project(folder: &Path, home: &Home) -> Result<Self, SettingsError> {
        let user = document::read(&home.configuration, None, UserFile::parse)?;
        Ok(Self {
            user,
            boundary: Boundary::of(folder),
            ..Self::default()
        })
    }

    /// Reads a project.toml that the user names, instead of the folder's own.
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

    /// Adds the stored settings of a project.
    #[must_use]
    pub(crate) fn with(mut self, remembered: &Remembered) -> Self {
        self.remembered = remembered.builder();
        self
    }

    /// Merges the settings of a build of `folder`.
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
            // As with pack, the last one comes first.
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

    /// Returns the services of the project.
    pub(crate) fn services(&self) -> &Services {
        &self.project.services
    }

    /// Returns the project's name, or else the name of its folder.
    pub(crate) fn project_name(&self, folder: &Path) -> String {
        self.project.project.name.clone().unwrap_or_else(|| {
            let name = folder.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        })
    }

    /// Returns the settings for a service with a build of its own, in `folder`.
    /// Its image is called `name`, unless the table names it.
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

    /// Returns the settings of registries. Fails if a file of certificates
    /// cannot be read.
    pub(crate) fn registries(&self) -> Result<Registries, SettingsError> {
        Registries::merge(
            &self.user.registries,
            &self.project.registries,
            &self.boundary,
        )
    }

    /// Returns the folders that the project's files may name paths in.
    pub(crate) const fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// Returns the machine's settings. Only the user's configuration has them.
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

    /// Merges the variables by name. A later source replaces an earlier one.
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

/// The files that can name buildpacks.
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

    /// Returns the first list that is not empty: the command line,
    /// `locald.toml`, `project.toml`.
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

/// Returns the settings of registries and proxies for the agent.
pub(crate) fn access(registries: &Registries) -> RegistryAccess {
    RegistryAccess {
        registries: registries.settings.clone(),
        proxies: registries::proxies(|name| std::env::var(name).ok()),
        extra_ca: None,
    }
}

#[cfg(test)]
mod tests;
