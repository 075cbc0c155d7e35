//! Runs the five phases of the lifecycle, each in a container of its own.

mod container;

use std::path::PathBuf;
use std::time::Instant;

use protocol::event::Phase;
use protocol::request::EnvVar;
use protocol::{Channel, Event, Failure, FailureKind};
use rustix::process::{Resource, getrlimit};

use super::directory::BuildDir;
use super::images::Images;
use super::layer_size;
use super::order::BuildpackTree;
use super::resolved_request::ResolvedRequest;
use super::{layer_env, libraries};
use crate::Agent;
use crate::buildpack_build::lifecycle;
use crate::buildpack_build::lifecycle_registry::Names;
use crate::container::{Container, Created, Network};
use crate::process::attach::pass_on;
use crate::registry::Registry;
use crate::request::stream::RequestStream;
use crate::store::Temporary;

/// More processes than a build needs. A lower limit is a likely cause of a
/// failure.
const ENOUGH_PROCESSES: u64 = 256;

pub(super) struct Phases<'a> {
    pub(super) agent: &'a Agent,
    pub(super) stream: &'a RequestStream,
    pub(super) resolved: &'a ResolvedRequest,
    pub(super) images: &'a Images,
    pub(super) registry: &'a Registry,
    pub(super) buildpack_trees: &'a [BuildpackTree],
    pub(super) directory: &'a BuildDir,
    pub(super) names: &'a Names,
    pub(super) authority: &'a str,
    /// Variables that name the machine's certificate authorities to buildpacks,
    /// if the builder lacks some of them.
    pub(super) ca_variables: Vec<EnvVar>,
    /// A network that reaches only the lifecycle's registry.
    pub(super) registry_network: Network,
    /// The network of the build phase.
    pub(super) build_network: Network,
    /// The lower directories of the root file system, the uppermost first.
    pub(super) lowers: Vec<PathBuf>,
    /// The home directory of the phases' user.
    pub(super) home: String,
    /// A directory for the state of the containers.
    pub(super) state: Temporary,
}

/// The buildpack that ran last, if that is certain. A directory of layers that
/// existed before the phase is no evidence.
fn failed_buildpack<'a>(before: &[(String, bool)], after: &'a [(String, bool)]) -> Option<&'a str> {
    let last = after.iter().rposition(|(_, is_there)| *is_there)?;
    let was_there = before.get(last).is_some_and(|(_, is_there)| *is_there);
    (!was_there).then(|| after[last].0.as_str())
}

impl Phases<'_> {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let write = |name: &str, text: &str| {
            let written = fs_err::write(self.directory.path(name), text);
            written.map_err(|error| Failure::from_error(FailureKind::Store, &error))
        };
        write(container::AUTHORITY_FILE, self.authority)?;
        // The user's variables take precedence.
        let given = |name: &str| {
            self.resolved
                .request
                .env
                .iter()
                .any(|own| own.name.as_str() == name)
        };
        for EnvVar { name, value } in self.ca_variables.iter().filter(|it| !given(&it.name)) {
            write(&format!("platform/env/{name}"), value)?;
        }
        // Prepares the container of the next phase while a phase runs.
        let mut next = Some(self.create(Phase::ALL[0]).await?);
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            self.stream.event(Event::PhaseStarted(phase)).await?;
            let started = Instant::now();
            let Some(created) = next.take() else { break };
            let layers = self.directory.path("layers");
            let before = layer_env::buildpacks(&layers);
            let running = created.start().await?;
            if let Some(following) = Phase::ALL.get(number + 1) {
                next = Some(self.create(*following).await?);
            }
            let code = match phase {
                Phase::Export => self.export(running).await?,
                _ => self.finish(running).await?,
            };
            if code != 0 {
                let started = layer_env::buildpacks(&layers);
                let failed_buildpack =
                    failed_buildpack(&before, &started).filter(|_| phase == Phase::Build);
                return Err(failed(phase, code, failed_buildpack));
            }
            let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.stream
                .event(Event::PhaseEnded { phase, millis })
                .await?;
            if phase == Phase::Build {
                self.check_libraries().await?;
            }
        }
        Ok(())
    }

    /// Checks that the run image has the libraries that the programs need.
    async fn check_libraries(&self) -> Result<(), Failure> {
        let needed = libraries::unusual(&self.directory.path("layers"));
        if needed.is_empty() {
            return Ok(());
        }
        let store = &self.agent.store;
        let (name, image) = (&self.images.run_name, &self.images.run_image.image);
        self.registry.fetch_layers(store, name, image).await?;
        let scratch = store.temporary()?;
        let lowers = store.stack(image.config.diff_ids(), scratch.path())?;
        libraries::check(&needed, &name.familiar(), &lowers)
    }

    async fn create(&self, phase: Phase) -> Result<Created, Failure> {
        let spec = self.spec(phase)?;
        Ok(Container::create(spec, self.state.path()).await?)
    }

    /// Waits for the export phase. Fails if the layers are too large.
    async fn export(&self, running: Container) -> Result<u8, Failure> {
        let paths = ["layers", "workspace/upper"].map(|name| self.directory.path(name));
        let check = move || layer_size::check(&paths[0], &paths[1]);
        let weighed = async {
            match tokio::task::spawn_blocking(check).await {
                Ok(weighed) => weighed,
                Err(error) => Err(Failure::from_error(FailureKind::Internal, &error)),
            }
        };
        let (code, ()) = tokio::try_join!(self.finish(running), weighed)?;
        Ok(code)
    }

    /// Forwards the output of a phase, and returns its exit code.
    async fn finish(&self, mut container: Container) -> Result<u8, Failure> {
        drop(container.stdin());
        let (stdout, stderr) = (container.stdout(), container.stderr());
        let (out, err) = tokio::join!(
            pass_on(stdout, Channel::Stdout, self.stream),
            pass_on(stderr, Channel::Stderr, self.stream),
        );
        out.and(err)?;
        Ok(container.wait().await?.0)
    }
}

/// The reason why a phase has failed. The lifecycle is a Go program: it
/// reserves far more address space than it uses, starts threads, and crashes if
/// a limit prevents that.
fn failed(phase: Phase, code: u8, failed_buildpack: Option<&str>) -> Failure {
    let (message, hint) = lifecycle::explain(phase, code, failed_buildpack);
    let shortage = shortage().filter(|_| code == lifecycle::CRASHED);
    if let Some((cause, remedy)) = shortage {
        let mut failure = Failure::new(FailureKind::Machine, message);
        failure.causes = vec![cause];
        return failure.with_hint(remedy);
    }
    let mut failure = Failure::new(FailureKind::Lifecycle { code }, message);
    failure.hint = hint.map(str::to_owned);
    failure
}

/// A limit of this process that may be too low, and a hint on how to raise it.
fn shortage() -> Option<(String, &'static str)> {
    if let Some(bytes) = getrlimit(Resource::As).current {
        let cause = format!("it may use {} MB of address space", bytes / 1_000_000);
        return Some((cause, "`ulimit -v unlimited` lifts the limit"));
    }
    let most = getrlimit(Resource::Nproc).current?;
    let cause = format!("you may have {most} processes and threads");
    (most < ENOUGH_PROCESSES).then_some((cause, "`ulimit -u` raises the limit"))
}

#[cfg(test)]
mod tests {
    use super::failed_buildpack;

    #[test]
    fn a_buildpack_that_failed_is_named_only_when_it_is_certain() {
        let group = |there: [bool; 3]| -> Vec<(String, bool)> {
            let names = ["a", "b", "c"].map(str::to_owned);
            names.into_iter().zip(there).collect()
        };
        let nothing = Vec::new();
        let first = group([true, true, false]);
        assert_eq!(failed_buildpack(&nothing, &first), Some("b"));
        assert_eq!(
            failed_buildpack(&group([true, false, false]), &first),
            Some("b")
        );
        // The directory may be a restored one, so it is not certain that this
        // buildpack ran.
        assert_eq!(failed_buildpack(&group([false, true, false]), &first), None);
        assert_eq!(failed_buildpack(&nothing, &nothing), None);
    }
}
