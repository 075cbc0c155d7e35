//! `locald run`: a process of a stored image.

mod stop_signal;

use std::path::{Path, PathBuf};

use protocol::request::RunRequest;
use protocol::{Failure, FailureKind, Reply};

use crate::Agent;
use crate::attach::attach;
use crate::container::{Container, ContainerSpec, Network, Upper};
use crate::dialogue::{Dialogue, Inputs};
use crate::environment::{self, Environment};
use crate::image::{self, user};
use crate::layer::merged::Merged;
use crate::listing::some_of;
use crate::registry::Registry;
use crate::store::{Duty, Image, RuntimeConfig, StoredImage};
use crate::upkeep;

/// The launcher's processes: CNB platform specification, "Launcher".
const PROCESSES: &str = "/cnb/process/";
const LAUNCHER: &str = "/cnb/lifecycle/launcher";

/// Serves a run request.
#[tracing::instrument(skip_all, fields(image = request.image))]
pub async fn run(
    agent: &Agent,
    request: RunRequest,
    dialogue: Dialogue,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    let _lease = upkeep::in_use(&agent.store, Duty::Session, &dialogue).await?;
    let (stored, image) = image::load(&agent.store, &request.image)?;
    let registry = Registry::new(request.access.clone(), dialogue.clone());
    extract(agent, &registry, &stored, &image).await?;
    let state = agent.store.temporary()?;
    let lowers = agent.store.stack(image.config.diff_ids(), state.path())?;
    let spec = specification(&request, image.config.runtime(), lowers, state.path())?;
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
    attach(container, &dialogue, inputs).await
}

/// The container of a request, by what the image says about itself.
pub(crate) fn specification(
    request: &RunRequest,
    runtime: RuntimeConfig,
    lowers: Vec<PathBuf>,
    state: &Path,
) -> Result<ContainerSpec, Failure> {
    let args = arguments(request, &runtime)?;
    let mut env = Environment::from(runtime.environment().collect::<Vec<_>>());
    env.set_default("PATH", environment::PATH);
    let user = runtime.user.as_deref().unwrap_or_default();
    let user = user::find(user, Merged(&lowers))?;
    env.set_default("HOME", &user.home);
    env.set_all(&request.env);
    let cwd = runtime.working_dir.filter(|cwd| !cwd.is_empty());
    Ok(ContainerSpec {
        user: user.user,
        lowers,
        upper: Upper::Directory {
            upper: state.join("upper"),
            work: state.join("work"),
        },
        mounts: Vec::new(),
        args,
        env: env.into_pairs(),
        cwd: cwd.unwrap_or_else(|| "/".to_owned()).into(),
        hostname: "locald".to_owned(),
        network: Network::Host,
        stdio: request.stdio,
        extra_hosts: Vec::new(),
    })
}

/// Extracts the layers of an image; those that the store lacks are fetched.
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
    let origin = image::origin(stored, image);
    let name = match origin {
        Some(name) => name,
        None => stored.name.parse()?,
    };
    Ok(registry.fetch_layers(&agent.store, &name, image).await?)
}

/// The program and its arguments. In an image of buildpacks a process is a
/// program of the launcher's; in any other there are only commands.
fn arguments(request: &RunRequest, runtime: &RuntimeConfig) -> Result<Vec<String>, Failure> {
    let metadata = runtime.label("io.buildpacks.build.metadata");
    let given = &request.args;
    if request.direct {
        let launcher = metadata.map(|_| vec![LAUNCHER.to_owned(), "--".to_owned()]);
        return Ok([launcher.unwrap_or_default(), given.clone()].concat());
    }
    if let Some(process) = &request.process {
        let known = processes(metadata.unwrap_or_default());
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
    let entrypoint = runtime.entrypoint.clone().unwrap_or_default();
    let cmd = if given.is_empty() {
        runtime.cmd.clone().unwrap_or_default()
    } else {
        given.clone()
    };
    let args = [entrypoint, cmd].concat();
    // The launcher alone has nothing to launch.
    if args.is_empty() || args == [LAUNCHER] {
        let known = processes(metadata.unwrap_or_default());
        let message = format!("image {} has no default process", request.image);
        let hint = match known.len() {
            0 => "a command is given after `--command` and `--`".to_owned(),
            _ => format!(
                "name one of its processes ({}), or a command after `--command` and `--`",
                some_of(&known)
            ),
        };
        return Err(Failure::new(FailureKind::Invalid, message).with_hint(hint));
    }
    Ok(args)
}

/// Types of the processes in an image's build metadata.
fn processes(metadata: &str) -> Vec<String> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).unwrap_or_default();
    let processes = metadata["processes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let types = processes
        .iter()
        .filter_map(|process| process["type"].as_str());
    types.map(str::to_owned).collect()
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

    #[test]
    fn the_default_process_is_the_entrypoint() {
        let args = arguments(&request(), &runtime("/cnb/process/web")).unwrap();
        assert_eq!(args, ["/cnb/process/web"]);
    }

    #[test]
    fn processes_and_commands_go_through_the_launcher() {
        let mut worker = request();
        worker.process = Some("worker".to_owned());
        worker.args = vec!["-x".to_owned()];
        let args = arguments(&worker, &runtime("/cnb/process/web")).unwrap();
        assert_eq!(args, ["/cnb/process/worker", "-x"]);
        let mut command = request();
        command.direct = true;
        command.args = vec!["ls".to_owned()];
        let args = arguments(&command, &runtime("/cnb/process/web")).unwrap();
        assert_eq!(args, [LAUNCHER, "--", "ls"]);
    }

    #[test]
    fn what_cannot_run_names_what_can() {
        let mut unknown = request();
        unknown.process = Some("clock".to_owned());
        let failure = arguments(&unknown, &runtime("/cnb/process/web")).unwrap_err();
        assert_eq!(failure.hint.unwrap(), "it has: web, worker");
        assert!(arguments(&request(), &runtime(LAUNCHER)).is_err());
    }
}
