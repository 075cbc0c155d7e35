//! Runs a process of a stored image: serves `locald run`.

mod stop_signal;

use std::path::{Component, Path, PathBuf};

use protocol::request::{ProcessProxies, RunRequest};
use protocol::{Failure, FailureKind, Reply};

use crate::Agent;
use crate::buildpack_build::lifecycle::LAUNCHER;
use crate::buildpack_build::lifecycle::metadata;
use crate::commands::image;
use crate::container::{Container, ContainerSpec, Network, Upper};
use crate::process::attach::attach;
use crate::process::ca_bundle::{self, CaBundle};
use crate::process::environment::{self, Environment, HOME, terminal};
use crate::process::user;
use crate::registry::Registry;
use crate::request::abridged_list::some_of;
use crate::request::store_use;
use crate::request::stream::{Inputs, RequestStream};
use crate::store::layer::merged::Merged;
use crate::store::{Image, RuntimeConfig, StoredImage, UseKind};

/// The directory of the launcher's processes: CNB platform specification,
/// "Launcher".
const PROCESSES: &str = "/cnb/process/";

/// Serves a run request.
#[tracing::instrument(skip_all, fields(image = request.image))]
pub async fn run(
    agent: &Agent,
    request: RunRequest,
    stream: RequestStream,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    let _use_lock = store_use::in_use(&agent.store, UseKind::Session, &stream).await?;
    let (stored, image) = image::load(&agent.store, &request.image)?;
    let registry = Registry::new(request.access.clone(), stream.clone());
    extract(agent, &registry, &stored, &image).await?;
    let state = agent.store.temporary()?;
    let lowers = agent.store.stack(image.config.diff_ids(), state.path())?;
    let proxied = match request.proxies {
        ProcessProxies::Image => CaBundle::as_it_is(lowers),
        ProcessProxies::Machine => ca_bundle::behind_proxies(lowers, &request.access, state.path())
            .map_err(|error| Failure::from_error(FailureKind::Store, &error))?,
    };
    let spec = specification(&request, image.config.runtime(), proxied, state.path())?;
    let stop_signal = image.config.runtime().stop_signal;
    let stop_signal = stop_signal.as_ref().and_then(stop_signal::parse);
    if let Upper::Directory { upper, work } = &spec.upper {
        for directory in [upper, work] {
            fs_err::create_dir(directory)
                .map_err(|error| Failure::from_error(FailureKind::Store, &error))?;
        }
    }
    let mut container = Container::start(spec, state.path()).await?;
    if let Some(signal) = stop_signal {
        container.stop_with(signal);
    }
    attach(container, &stream, inputs).await
}

/// The container for a request, with the defaults of the image's configuration.
pub(crate) fn specification(
    request: &RunRequest,
    runtime: RuntimeConfig,
    root: CaBundle,
    state: &Path,
) -> Result<ContainerSpec, Failure> {
    let CaBundle {
        lowers,
        env: proxies,
    } = root;
    let image = Merged(&lowers);
    let args = arguments(request, &runtime, image)?;
    let mut env = Environment::from(runtime.environment().collect::<Vec<_>>());
    env.set_default("PATH", environment::PATH);
    let user = runtime.user.as_deref().unwrap_or_default();
    let user = user::find(user, image)?;
    env.set_defaults(&proxies);
    env.set_defaults(&terminal::known(&request.terminal, image));
    env.set_all(&request.env);
    env.set_default(HOME, &user.home);
    let cwd = absolute(runtime.working_dir.as_deref().unwrap_or_default());
    let volumes = runtime.volumes.unwrap_or_default().into_keys();
    let directories = volumes.map(|path| absolute(&path)).chain([cwd.clone()]);
    Ok(ContainerSpec {
        user: user.user,
        lowers,
        upper: Upper::Directory {
            upper: state.join("upper"),
            work: state.join("work"),
        },
        directories: directories.collect(),
        mounts: Vec::new(),
        args,
        env: env.into_pairs(),
        cwd,
        hostname: "locald".to_owned(),
        network: Network::Host,
        stdio: request.stdio,
        extra_hosts: Vec::new(),
    })
}

/// Makes a path of an image's configuration absolute. `..` does not lead above
/// the root.
fn absolute(path: &str) -> PathBuf {
    let mut absolute = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => absolute.push(name),
            Component::ParentDir => drop(absolute.pop()),
            _ => {}
        }
    }
    absolute
}

/// Extracts the layers of an image. Fetches those that the store lacks.
async fn extract(
    agent: &Agent,
    registry: &Registry,
    stored: &StoredImage,
    image: &Image,
) -> Result<(), Failure> {
    let missing = |(_, diff_id): &(_, &_)| !agent.store.has_layer(diff_id);
    if !image.layers().any(|layer| missing(&layer)) {
        return Ok(());
    }
    let origin = metadata::origin(stored, image);
    let name = match origin {
        Some(name) => name,
        None => stored.name.parse()?,
    };
    Ok(registry.fetch_layers(&agent.store, &name, image).await?)
}

/// The program and its arguments. In an image of buildpacks the name of a
/// process selects one of the launcher's programs. Any other image has commands
/// only.
fn arguments(
    request: &RunRequest,
    runtime: &RuntimeConfig,
    image: Merged<'_>,
) -> Result<Vec<String>, Failure> {
    let given = &request.args;
    if request.direct {
        let launcher = image.has_file(LAUNCHER);
        let launcher = launcher.then(|| vec![LAUNCHER.to_owned(), "--".to_owned()]);
        return Ok([launcher.unwrap_or_default(), given.clone()].concat());
    }
    if let Some(process) = &request.process {
        let known = processes(runtime, image);
        if !known.contains(process) {
            let message = format!("image {} has no process {process:?}", request.image);
            let hint = match known.len() {
                0 => "a command is given after `--command` and `--`".to_owned(),
                _ => format!("it has: {}", some_of(&known)),
            };
            return Err(Failure::new(FailureKind::Invalid, message).with_hint(hint));
        }
        return Ok([vec![format!("{PROCESSES}{process}")], given.clone()].concat());
    }
    // As in Docker, one empty word means that there is no entrypoint.
    let entrypoint = runtime.entrypoint.clone().filter(|it| *it != [""]);
    let entrypoint = entrypoint.unwrap_or_default();
    let cmd = if given.is_empty() {
        runtime.cmd.clone().unwrap_or_default()
    } else {
        given.clone()
    };
    let args = [entrypoint, cmd].concat();
    // The launcher without an argument starts no process.
    if args.is_empty() || args == [LAUNCHER] {
        return Err(no_default(request, runtime, image));
    }
    Ok(args)
}

fn no_default(request: &RunRequest, runtime: &RuntimeConfig, image: Merged<'_>) -> Failure {
    let message = format!("image {} has no default process", request.image);
    let known = some_of(processes(runtime, image));
    let command = "a command is given after `--command` and `--`";
    let hint = match &*known {
        "" => command.to_owned(),
        known => format!("name one of its processes ({known}); {command}"),
    };
    Failure::new(FailureKind::Invalid, message).with_hint(hint)
}

/// The types of an image's processes, from its build metadata or, if a
/// buildpack has replaced that, from the launcher's links.
fn processes(runtime: &RuntimeConfig, image: Merged<'_>) -> Vec<String> {
    let metadata = runtime.label("io.buildpacks.build.metadata");
    let metadata = serde_json::from_str(metadata.unwrap_or_default());
    let metadata: serde_json::Value = metadata.unwrap_or_default();
    let processes = metadata["processes"].as_array().into_iter().flatten();
    let types = processes.filter_map(|process| process["type"].as_str());
    let known: Vec<String> = types.map(str::to_owned).collect();
    if !known.is_empty() {
        return known;
    }
    let names = image.names(PROCESSES).into_iter();
    names.filter_map(|name| name.into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn request() -> RunRequest {
        RunRequest {
            image: "app".to_owned(),
            process: None,
            args: Vec::new(),
            direct: false,
            env: Vec::new(),
            stdio: protocol::request::Stdio::Pipes,
            access: protocol::request::RegistryAccess::default(),
            terminal: Vec::new(),
            proxies: ProcessProxies::Image,
        }
    }

    fn runtime(entrypoint: &str) -> RuntimeConfig {
        let metadata = r#"{"processes":[{"type":"web"},{"type":"worker"}]}"#;
        let label = (
            "io.buildpacks.build.metadata".to_owned(),
            metadata.to_owned(),
        );
        RuntimeConfig {
            entrypoint: Some(vec![entrypoint.to_owned()]),
            labels: Some([label].into()),
            ..RuntimeConfig::default()
        }
    }

    /// An image with two processes of the launcher.
    struct Launched(tempfile::TempDir, Vec<PathBuf>);

    impl Launched {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            for folder in ["cnb/lifecycle", "cnb/process"] {
                fs_err::create_dir_all(root.join(folder)).unwrap();
            }
            fs_err::write(root.join("cnb/lifecycle/launcher"), "").unwrap();
            for name in ["linked", "too"] {
                let link = root.join("cnb/process").join(name);
                std::os::unix::fs::symlink("/cnb/lifecycle/launcher", link).unwrap();
            }
            let layers = vec![root.to_owned()];
            Self(directory, layers)
        }

        fn args(
            &self,
            request: &RunRequest,
            runtime: &RuntimeConfig,
        ) -> Result<Vec<String>, Failure> {
            arguments(request, runtime, Merged(&self.1))
        }
    }

    #[test]
    fn the_default_process_is_the_entrypoint() {
        let image = Launched::new();
        let args = image
            .args(&request(), &runtime("/cnb/process/web"))
            .unwrap();
        assert_eq!(args, ["/cnb/process/web"]);
        let mut plain = runtime("");
        plain.cmd = Some(vec!["echo".to_owned(), String::new()]);
        assert_eq!(image.args(&request(), &plain).unwrap(), ["echo", ""]);
        plain.cmd = None;
        assert!(image.args(&request(), &plain).is_err());
    }

    #[test]
    fn processes_and_commands_go_through_the_launcher() {
        let image = Launched::new();
        let mut worker = request();
        worker.process = Some("worker".to_owned());
        worker.args = vec!["-x".to_owned()];
        let args = image.args(&worker, &runtime("/cnb/process/web")).unwrap();
        assert_eq!(args, ["/cnb/process/worker", "-x"]);
        let mut command = request();
        command.direct = true;
        command.args = vec!["ls".to_owned()];
        let args = image.args(&command, &runtime("/cnb/process/web")).unwrap();
        assert_eq!(args, [LAUNCHER, "--", "ls"]);
        fs_err::remove_file(image.0.path().join("cnb/lifecycle/launcher")).unwrap();
        assert_eq!(image.args(&command, &runtime("/start")).unwrap(), ["ls"]);
    }

    #[test]
    fn what_cannot_run_names_what_can() {
        let image = Launched::new();
        let mut unknown = request();
        unknown.process = Some("clock".to_owned());
        let failure = image
            .args(&unknown, &runtime("/cnb/process/web"))
            .unwrap_err();
        assert_eq!(failure.hint.unwrap(), "it has: web, worker");
        assert!(image.args(&request(), &runtime(LAUNCHER)).is_err());
    }

    #[test]
    fn a_label_that_a_buildpack_replaced_hides_no_process() {
        let image = Launched::new();
        for label in [
            "",
            "mine",
            "[]",
            "{}",
            r#"{"processes":7}"#,
            r#"{"processes":[{}]}"#,
        ] {
            let mut runtime = runtime("/cnb/process/linked");
            let name = "io.buildpacks.build.metadata".to_owned();
            runtime.labels = Some([(name, label.to_owned())].into());
            let args = image.args(&request(), &runtime).unwrap();
            assert_eq!(args, ["/cnb/process/linked"], "{label}");
            let mut other = request();
            other.process = Some("too".to_owned());
            assert_eq!(image.args(&other, &runtime).unwrap(), ["/cnb/process/too"]);
            other.process = Some("clock".to_owned());
            let hint = image.args(&other, &runtime).unwrap_err().hint;
            assert_eq!(hint.unwrap(), "it has: linked, too", "{label}");
        }
    }

    #[test]
    fn paths_of_a_configuration_begin_at_the_root() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("app", "/app"),
            ("/a/./b//c/", "/a/b/c"),
            ("/a/../b", "/b"),
            ("../../x", "/x"),
        ] {
            assert_eq!(absolute(path), Path::new(expected), "{path:?}");
        }
    }
}
