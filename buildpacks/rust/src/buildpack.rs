//! Implements the two phases of the buildpack: detect and build.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use libcnb::build::{BuildContext, BuildResult, BuildResultBuilder};
use libcnb::data::build_plan::BuildPlanBuilder;
use libcnb::data::sbom::SbomFormat;
use libcnb::detect::{DetectContext, DetectResult, DetectResultBuilder};
use libcnb::generic::GenericMetadata;
use libcnb::sbom::Sbom;
use libcnb::{Env, Platform};

use crate::apt::{self, Packages};
use crate::cache::Cache;
use crate::cargo::{self, Cargo, Colour};
use crate::compilation::{self, Compilation};
use crate::error::BuildError;
use crate::libraries::Libraries;
use crate::manifest::{self, Manifest};
use crate::programs::Programs;
use crate::sbom::{self, Lock};
use crate::selection::Selection;
use crate::settings::{self, SettingsError, Table};
use crate::toolchain::{self, Toolchain, Wishes};
use crate::{
    assets, binaries, credentials, development, output, processes, sweep, targets, vendored,
};

/// Cargo's target directory in the cache.
const TARGET: &str = "target";
/// Cargo's own directory in the cache.
const HOME: &str = "cargo";
/// The file with the digests of vendored packages at the last build.
const VENDORED: &str = "vendored.json";

/// The buildpack for Cargo projects.
pub(crate) struct RustBuildpack;

/// The platform directory, and the variables that the user set.
pub(crate) struct Directory {
    path: PathBuf,
    pub(crate) env: Env,
}

impl Directory {
    pub(crate) fn directory(&self) -> &Path {
        &self.path
    }

    /// The value of a variable of the user, else of the builder.
    fn variable(&self, name: &str) -> Option<OsString> {
        self.env
            .get(name)
            .cloned()
            .or_else(|| std::env::var_os(name))
    }
}

impl Platform for Directory {
    fn env(&self) -> &Env {
        &self.env
    }

    fn from_path(path: impl AsRef<Path>) -> std::io::Result<Self> {
        let path = path.as_ref().to_owned();
        let env = libcnb::generic::GenericPlatform::from_path(&path)?
            .env()
            .clone();
        Ok(Self { path, env })
    }
}

impl libcnb::Buildpack for RustBuildpack {
    type Platform = Directory;
    type Metadata = GenericMetadata;
    type Error = BuildError;

    fn detect(&self, context: DetectContext<Self>) -> libcnb::Result<DetectResult, BuildError> {
        let has = |name| context.app_dir.join(name).is_file();
        if !has("Cargo.toml") {
            if has("Cargo.lock") {
                return Err(BuildError::NoManifest.into());
            }
            return DetectResultBuilder::fail().build();
        }
        let plan = BuildPlanBuilder::new().provides("rust").requires("rust");
        DetectResultBuilder::pass().build_plan(plan.build()).build()
    }

    fn build(&self, context: BuildContext<Self>) -> libcnb::Result<BuildResult, BuildError> {
        let project = Project::read(&context)?;
        let app = &context.app_dir;
        let cache = Cache::open(&context)?;
        let built = project.build(&context, &cache)?;
        let target = cache.path(TARGET);
        let libraries = Libraries::of(
            &built.compilation,
            &built.toolchain,
            &built.packages,
            &[app, &target],
        );
        let root = binaries::layer(&context, &built.programs, &libraries)?;
        development::layer(&context, &built.toolchain, &built.packages, &built.places)?;
        let lock = Lock::read(app);
        let sources = sources(&cache.path(HOME), app);
        let document =
            Sbom::from_bytes(SbomFormat::CycloneDxJson, sbom::cyclonedx(&lock, &sources));
        sweep::sweep(&built.compilation, &target, &cache.path(HOME), &lock);
        cache.finish(app)?;
        assets::keep_only(app, &project.include).map_err(BuildError::from)?;
        BuildResultBuilder::new()
            .launch(processes::launch(&root, &built.programs))
            .launch_sbom(document)
            .build()
    }

    fn on_error(&self, error: libcnb::Error<BuildError>) {
        match error {
            libcnb::Error::BuildpackError(error) => output::error(&error, error.hint().as_deref()),
            error => output::error(&error, None),
        }
    }
}

/// The project to build.
struct Project {
    settings: Table,
    rust_version: Option<String>,
    /// Whether the project's profile sets `strip`.
    says_strip: bool,
    include: globset::GlobSet,
}

/// The result of the build.
struct Built {
    programs: Programs,
    compilation: Compilation,
    packages: Packages,
    toolchain: Toolchain,
    /// Variables with Cargo's directories and settings.
    places: Vec<(OsString, OsString)>,
}

impl Project {
    fn read(context: &BuildContext<RustBuildpack>) -> Result<Self, BuildError> {
        let platform = &context.platform;
        for name in platform.env.iter().filter_map(|(name, _)| name.to_str()) {
            if let Some(meant) = settings::misspelt(name) {
                output::warning(&format!("{name} is no setting of this buildpack: {meant}?"));
            }
        }
        let mut manifest = match manifest::read(&context.app_dir) {
            None => Manifest::default(),
            Some(read) => read.map_err(SettingsError::Table)?,
        };
        let table = manifest.settings().unwrap_or_default();
        let settings = table.overridden(&|name| platform.variable(name))?;
        let include = assets::patterns(&settings.include)?;
        Ok(Self {
            says_strip: manifest.says_strip(settings.profile()),
            settings,
            rust_version: manifest.rust_version().map(str::to_owned),
            include,
        })
    }

    fn build(
        &self,
        context: &BuildContext<RustBuildpack>,
        cache: &Cache,
    ) -> Result<Built, BuildError> {
        let (app, settings) = (&context.app_dir, &self.settings);
        let wishes = Wishes {
            channel: settings.toolchain.as_deref(),
            rust_version: self.rust_version.as_deref(),
            targets: targets::configured(app, &settings.cargo_args, &|name| {
                context.platform.variable(name)
            }),
        };
        let toolchain = toolchain::provide(app, &wishes, cache)?;
        let packages = apt::install(&settings.apt_packages, cache)?;
        let mut variables = packages.variables();
        variables.extend(credentials::variables(context.platform.directory()));
        let places = self.places(cache)?;
        variables.extend(places.iter().cloned());
        let cargo = Cargo::new(&toolchain, app, variables, colour(context, cache));
        if !cargo::is_locked(app) {
            output::warning(
                "there is no Cargo.lock: each build may take other versions of what the project depends on",
            );
        }
        let selection = Selection::new(&cargo.members()?, settings)?;
        output::step(&format!("Building {}", selection.describe()));
        let target = cache.path(TARGET);
        vendored::forget_changed(app, &cache.path(VENDORED), &target, &cache.path(HOME))
            .map_err(BuildError::io("look for what was compiled in", &target))?;
        let compilation = compilation::compile(&cargo, &selection, settings, &target, app)?;
        let programs = Programs::of(&selection, &compilation.artefacts)?;
        Ok(Built {
            programs,
            compilation,
            packages,
            toolchain,
            places,
        })
    }

    /// Variables with Cargo's directories and the settings for programs.
    fn places(&self, cache: &Cache) -> Result<Vec<(OsString, OsString)>, BuildError> {
        let target: OsString = cache.directory(TARGET)?.into();
        let mut variables = vec![
            ("CARGO_HOME".into(), cache.directory(HOME)?.into()),
            ("CARGO_TARGET_DIR".into(), target.clone()),
            // Overrides a `build-dir` of the project, which would lead out of
            // the cache.
            ("CARGO_BUILD_BUILD_DIR".into(), target),
        ];
        variables.extend(credentials::provider());
        if self.settings.strip.unwrap_or(!self.says_strip) {
            let profile = self.settings.profile().to_uppercase().replace('-', "_");
            let name = format!("CARGO_PROFILE_{profile}_STRIP");
            variables.push((name.into(), "symbols".into()));
        }
        Ok(variables)
    }
}

/// Whether messages have colours. A platform that keeps the build cache removes
/// colours that its user cannot see. The user's own setting takes precedence.
fn colour(context: &BuildContext<RustBuildpack>, cache: &Cache) -> Colour {
    let said = context.platform.variable("CARGO_TERM_COLOR").is_some();
    if cache.is_of_platform() && !said {
        Colour::Always
    } else {
        Colour::Auto
    }
}

/// The directories with the sources of dependencies.
fn sources(cargo_home: &Path, app: &Path) -> Vec<PathBuf> {
    let registries = fs_err::read_dir(cargo_home.join("registry/src"));
    let registries = registries.into_iter().flatten().flatten();
    let vendored = std::iter::once(app.join("vendor"));
    registries
        .map(|entry| entry.path())
        .chain(vendored)
        .collect()
}
