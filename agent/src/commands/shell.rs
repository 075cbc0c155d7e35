//! Starts a program in the development environment of a project: serves `locald
//! shell`.
//!
//! The root file system is that of the builder. Mounted over it are the layers
//! of the last build, the build cache, and the project's folder. The shell also
//! gets the environment of the layers.

use std::path::{Path, PathBuf};

use protocol::event::ImageRole;
use protocol::request::{PullPolicy, ShellRequest};
use protocol::{Failure, FailureKind, Reply};

use crate::Agent;
use crate::buildpack_build::lifecycle::metadata::run_image_layers;
use crate::buildpack_build::lifecycle::{BUILD_CACHE, LAYERS, WORKSPACE, layers_in};
use crate::buildpack_build::{BuildRecord, ProjectLayout, apply_layer_env};
use crate::container::{Access, Container, ContainerSpec, Mount, MountKind, Network, Upper, User};
use crate::process::attach::attach;
use crate::process::ca_bundle::{self, CaBundle};
use crate::process::environment::{self, Environment, HOME, terminal};
use crate::process::user;
use crate::registry::{Registry, Want};
use crate::request::store_use;
use crate::request::stream::{Inputs, RequestStream};
use crate::store::layer::LayerError;
use crate::store::layer::merged::Merged;
use crate::store::{Image, UseKind};
use crate::sync::live_folder;

mod launch;

use launch::Launch;

const HOSTNAME: &str = "locald";

/// Serves a shell request.
#[tracing::instrument(skip_all, fields(project = request.project.path))]
pub async fn shell(
    agent: &Agent,
    request: ShellRequest,
    stream: RequestStream,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    let _use_lock = store_use::in_use(&agent.store, UseKind::Session, &stream).await?;
    let project = agent.store.project(&request.project.id.parse()?)?;
    let layout = ProjectLayout::new(project.path());
    let (record, app) = last_build(agent, &layout, &request)?;
    let registry = Registry::new(request.access.clone(), stream.clone());
    let builder = builder(agent, &record, &registry).await?;
    let cache = layout.build_cache();
    let cache_lock = cache.in_use().await?;
    let state = agent.store.temporary()?;
    let directory = |name: &str| directory(state.path(), name);
    let folder = folder(&request, project.path());
    let mut mounts = mounts(&layout, folder, state.path())?;
    mounts.extend(reused_layers(agent, &app, &layout.layers())?);
    let root = agent
        .store
        .stack(builder.config.diff_ids(), &directory("builder")?)?;
    let root = ca_bundle::behind_proxies(root, &request.access, state.path())
        .map_err(|error| Failure::from_error(FailureKind::Store, &error))?;
    let launch = Launch {
        agent,
        record: &record,
        builder: &builder,
        app: &app,
        state: state.path(),
    };
    let given = given_environment(&request, &record, &builder, &root)?;
    let env = launch.environment(given).await?;
    let env = with_build_layers(&env, &layout.layers(), &request)?;
    let spec = ContainerSpec {
        lowers: root.lowers,
        upper: Upper::Directory {
            upper: directory("root")?,
            work: directory("root-work")?,
        },
        directories: Vec::new(),
        mounts,
        args: arguments(&request),
        env: env.into_pairs(),
        cwd: WORKSPACE.into(),
        user: User {
            uid: record.uid,
            gid: record.gid,
            groups: Vec::new(),
        },
        hostname: HOSTNAME.to_owned(),
        network: Network::Host,
        stdio: request.stdio,
        extra_hosts: Vec::new(),
    };
    let container = Container::start(spec, state.path()).await?;
    let reply = attach(container, &stream, inputs).await;
    drop(cache_lock);
    cache.sweep(&agent.store)?;
    reply
}

/// The project's folder: that of the host, or the copy of the live folder if
/// the host is on another machine.
fn folder(request: &ShellRequest, project: &Path) -> PathBuf {
    match &*request.folder {
        "" => live_folder::tree(project),
        folder => folder.into(),
    }
}

/// The record and the image of the project's last build.
fn last_build(
    agent: &Agent,
    layout: &ProjectLayout,
    request: &ShellRequest,
) -> Result<(BuildRecord, Image), Failure> {
    let record = BuildRecord::load(layout.root()).filter(|_| layout.layers().is_dir());
    let built = record.and_then(|record| {
        let app = agent.store.image(&record.image).ok()?;
        Some((record, app))
    });
    built.ok_or_else(|| {
        let message = format!("{} has no built image", request.project.path);
        Failure::new(FailureKind::NotBuilt, message).with_hint("`locald build`")
    })
}

/// The mounts of a shell: the layers of the last build, with private changes;
/// the project's folder; the build cache, if a build has made one.
fn mounts(layout: &ProjectLayout, source: PathBuf, state: &Path) -> Result<Vec<Mount>, Failure> {
    let mount = |target: &str, kind| Mount {
        target: target.into(),
        access: Access::ReadWrite,
        kind,
    };
    let layers = MountKind::Overlay {
        lower: layout.layers(),
        upper: directory(state, "layers")?,
        work: directory(state, "layers-work")?,
    };
    let mut mounts = vec![
        mount(LAYERS, layers),
        mount(WORKSPACE, MountKind::Owned { source }),
    ];
    let cache = layout.build_cache().path();
    if cache.is_dir() {
        // It belongs to the builder's user, which is also the user of the
        // shell.
        mounts.push(mount(BUILD_CACHE, MountKind::Bind { source: cache }));
    }
    Ok(mounts)
}

/// The builder of the last build. Extracts its layers.
async fn builder(
    agent: &Agent,
    record: &BuildRecord,
    registry: &Registry,
) -> Result<Image, Failure> {
    let name: crate::images::reference::ImageRef = record.builder_name.parse()?;
    let (policy, role) = (PullPolicy::IfNotPresent, ImageRole::Builder);
    if agent.store.image(&record.builder).is_err() {
        registry
            .replace_documents(&agent.store, &name, &record.builder)
            .await?;
    }
    let builder = agent.store.image(&record.builder)?;
    if builder
        .layers()
        .any(|(_, diff_id)| !agent.store.has_layer(diff_id))
    {
        let at = name.at(record.builder);
        registry.fetch_layers(&agent.store, &at, &builder).await?;
    }
    // Keeps the reference in the store while shells use it.
    registry
        .pull(&agent.store, &name, policy, Want::Documents, role)
        .await?;
    Ok(builder)
}

/// The layers that the last build reused without restoring them. Only the image
/// contains them.
fn reused_layers(agent: &Agent, app: &Image, restored: &Path) -> Result<Vec<Mount>, Failure> {
    let mut mounts = Vec::new();
    let own = || app.layers().skip(run_image_layers(app));
    tokio::task::block_in_place(|| -> Result<(), LayerError> {
        let mut extracted = Vec::new();
        for (blob, diff_id) in own() {
            if agent.store.has_blob(&blob.digest) {
                agent.store.extract_blob(blob, diff_id)?;
                extracted.push(*diff_id);
            }
        }
        Ok(agent.store.publish_layers(&extracted)?)
    })?;
    for (_, diff_id) in own() {
        let layers = agent.store.layer_path(diff_id).join("layers");
        for path in layers_in(&layers) {
            if fs_err::symlink_metadata(restored.join(&path)).is_ok() {
                continue;
            }
            mounts.push(Mount {
                target: Path::new(LAYERS).join(&path),
                access: Access::ReadOnly,
                kind: MountKind::Bind {
                    source: layers.join(&path),
                },
            });
        }
    }
    Ok(mounts)
}

/// The arguments of the shell. They need no launcher, because the environment
/// is already complete.
fn arguments(request: &ShellRequest) -> Vec<String> {
    if request.command.is_empty() {
        let shell = "if command -v bash >/dev/null; then exec bash; else exec sh; fi";
        return ["/bin/sh", "-c", shell].map(str::to_owned).to_vec();
    }
    request.command.clone()
}

/// The environment that is the launcher's input.
fn given_environment(
    request: &ShellRequest,
    record: &BuildRecord,
    builder: &Image,
    root: &CaBundle,
) -> Result<Environment, Failure> {
    let image = Merged(&root.lowers);
    let mut env = Environment::from(builder.config.runtime().environment().collect::<Vec<_>>());
    env.set_default("PATH", environment::PATH);
    env.set_defaults(&root.env);
    env.set_defaults(&terminal::known(&request.terminal, image));
    env.set("CNB_PLATFORM_API", &record.platform_api);
    env.set("CNB_LAYERS_DIR", LAYERS);
    env.set("CNB_APP_DIR", WORKSPACE);
    env.set_all(&request.env);
    env.set_default(HOME, &user::home(record.uid, image)?);
    Ok(env)
}

/// Adds the build layers to the environment. The user's own variables keep the
/// values that the launcher gave them.
fn with_build_layers(
    launch: &Environment,
    layers: &Path,
    request: &ShellRequest,
) -> Result<Environment, Failure> {
    let mut env = launch.clone();
    apply_layer_env(layers, &mut env)?;
    for variable in &request.env {
        if let Some(value) = launch.get(&variable.name) {
            env.set(&variable.name, value);
        }
    }
    Ok(env)
}

fn directory(state: &Path, name: &str) -> Result<PathBuf, Failure> {
    let path = state.join(name);
    fs_err::create_dir(&path).map_err(|error| Failure::from_error(FailureKind::Store, &error))?;
    Ok(path)
}
