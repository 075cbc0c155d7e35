//! Computes the arguments and variables of the lifecycle's phases: CNB platform
//! specification, "Lifecycle Interface". The flags are those that pack passes
//! when it builds into a registry, so the images are the same.

mod exit;
mod files;
mod layers;
pub(crate) mod metadata;

use protocol::event::Phase;
use protocol::request::Verbosity;

pub use exit::{CRASHED, explain};
pub use files::{order_toml, run_toml, stack_toml, with_around, with_last_group};
pub(crate) use layers::layers_in;

use crate::buildpack_build::builder::PlatformApi;

/// The launcher, in builders and in the images that they build.
pub const LAUNCHER: &str = "/cnb/lifecycle/launcher";
/// The layers directory, in the container.
pub const LAYERS: &str = "/layers";
/// The application directory, in the container.
pub const WORKSPACE: &str = "/workspace";
/// The cache directory, in the container.
pub const CACHE: &str = "/cache";
/// The platform directory, in the container.
pub const PLATFORM: &str = "/platform";
/// The build cache, in the container. It is locald's own extension of the
/// platform directory.
pub const BUILD_CACHE: &str = "/platform/cache";

/// The options that all phases of a build share.
#[derive(Debug, Clone)]
pub struct Options {
    /// The API in use.
    pub api: PlatformApi,
    /// Canonical reference of the image.
    pub image: String,
    /// Further canonical references.
    pub tags: Vec<String>,
    /// The run image, as written in `run.toml`.
    pub run_image: String,
    /// Whether to ignore the cache of earlier builds.
    pub clear_cache: bool,
    /// The default process type.
    pub process_type: Option<String>,
    /// Seconds since the epoch for the image's creation time.
    pub creation_time: Option<u64>,
    /// How much the lifecycle prints.
    pub verbosity: Verbosity,
    /// User id of the builder.
    pub uid: u32,
    /// Group id of the builder.
    pub gid: u32,
}

/// The program of a phase.
pub fn program(phase: Phase) -> &'static str {
    match phase {
        Phase::Analyze => "/cnb/lifecycle/analyzer",
        Phase::Detect => "/cnb/lifecycle/detector",
        Phase::Restore => "/cnb/lifecycle/restorer",
        Phase::Build => "/cnb/lifecycle/builder",
        Phase::Export => "/cnb/lifecycle/exporter",
    }
}

/// The program of a phase and its arguments.
pub fn arguments(phase: Phase, options: &Options) -> Vec<String> {
    let mut flags: Vec<(&str, String)> = vec![("-layers", LAYERS.to_owned())];
    let mut switches = Vec::new();
    if options.verbosity == Verbosity::Debug {
        flags.push(("-log-level", "debug".to_owned()));
    }
    let mut images = Vec::new();
    match phase {
        Phase::Analyze => {
            if options.clear_cache && options.api >= PlatformApi::V0_9 {
                switches.push("-skip-layers");
            }
            flags.extend(options.tags.iter().map(|tag| ("-tag", tag.clone())));
            flags.push(("-run-image", options.run_image.clone()));
            flags.push(run_images_flag(options.api));
            images.push(options.image.clone());
        }
        Phase::Detect | Phase::Build => {
            flags.push(("-app", WORKSPACE.to_owned()));
            flags.push(("-platform", PLATFORM.to_owned()));
        }
        Phase::Restore => {
            if options.clear_cache {
                switches.push("-skip-layers");
            }
            flags.push(("-cache-dir", CACHE.to_owned()));
            if options.api >= PlatformApi::V0_14 {
                flags.push(run_images_flag(options.api));
            }
        }
        Phase::Export => {
            flags.push(("-app", WORKSPACE.to_owned()));
            flags.push(("-cache-dir", CACHE.to_owned()));
            flags.push(run_images_flag(options.api));
            if let Some(process) = &options.process_type {
                flags.push(("-process-type", process.clone()));
            }
            images.push(options.image.clone());
            images.extend_from_slice(&options.tags);
        }
    }
    let mut arguments = vec![program(phase).to_owned()];
    arguments.extend(switches.into_iter().map(str::to_owned));
    for (flag, value) in flags {
        arguments.extend([flag.to_owned(), value]);
    }
    arguments.extend(images);
    arguments
}

/// The flag for the file with the run images, which locald writes into the
/// layers directory. The builder's own file may be older than its labels.
fn run_images_flag(api: PlatformApi) -> (&'static str, String) {
    if api < PlatformApi::V0_12 {
        ("-stack", format!("{LAYERS}/stack.toml"))
    } else {
        ("-run", format!("{LAYERS}/run.toml"))
    }
}

/// The environment that the platform sets for a phase.
pub fn environment(phase: Phase, options: &Options) -> Vec<(String, String)> {
    let mut env = vec![
        ("CNB_PLATFORM_API", options.api.to_string()),
        ("CNB_USER_ID", options.uid.to_string()),
        ("CNB_GROUP_ID", options.gid.to_string()),
    ];
    if options.api >= PlatformApi::V0_15 {
        env.push(("CNB_EXEC_ENV", "production".to_owned()));
    }
    if phase == Phase::Export
        && let Some(seconds) = options.creation_time
        && options.api >= PlatformApi::V0_9
    {
        env.push(("SOURCE_DATE_EPOCH", seconds.to_string()));
    }
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    env.into_iter().map(owned).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn options(api: &str) -> Options {
        Options {
            api: PlatformApi::known(api).unwrap(),
            image: "index.docker.io/library/app:latest".to_owned(),
            tags: Vec::new(),
            run_image: "localhost:5000/run:latest".to_owned(),
            clear_cache: false,
            process_type: None,
            creation_time: Some(7),
            verbosity: Verbosity::Normal,
            uid: 1001,
            gid: 1000,
        }
    }

    fn line(phase: Phase, api: &str) -> String {
        arguments(phase, &options(api)).join(" ")
    }

    #[test]
    fn phases_are_called_as_their_api_wants() {
        assert_eq!(
            line(Phase::Analyze, "0.15"),
            "/cnb/lifecycle/analyzer -layers /layers -run-image localhost:5000/run:latest -run /layers/run.toml index.docker.io/library/app:latest"
        );
        assert!(line(Phase::Analyze, "0.11").contains("-stack /layers/stack.toml"));
        assert_eq!(
            line(Phase::Restore, "0.12"),
            "/cnb/lifecycle/restorer -layers /layers -cache-dir /cache"
        );
        assert!(line(Phase::Restore, "0.14").ends_with("-run /layers/run.toml"));
        assert!(!line(Phase::Export, "0.15").contains("-run-image"));
    }

    #[test]
    fn clearing_the_cache_skips_layers_where_the_api_can() {
        let mut old = options("0.8");
        old.clear_cache = true;
        assert!(!arguments(Phase::Analyze, &old).contains(&"-skip-layers".to_owned()));
        assert!(arguments(Phase::Restore, &old).contains(&"-skip-layers".to_owned()));
    }

    #[test]
    fn the_creation_time_needs_an_api_that_reads_it() {
        let has = |api| {
            let env = environment(Phase::Export, &options(api));
            env.iter().any(|(name, _)| name == "SOURCE_DATE_EPOCH")
        };
        assert!(has("0.9"));
        assert!(!has("0.8"));
    }
}
