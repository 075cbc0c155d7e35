//! Checks whether this machine can run containers. It sets up a container in
//! each way that a build or a shell needs, and executes a program that does not
//! exist. All steps before the execution must succeed.

use std::io;
use std::time::Instant;

use protocol::event::{Check, Verdict};
use protocol::request::Stdio;
use protocol::{Event, Failure, Reply};

use crate::Agent;
use crate::container::network::LoopbackNetwork;
use crate::container::{
    self, Container, ContainerError, ContainerSpec, Network, Upper, User, pasta,
};
use crate::kernel::limits;
use crate::kernel::namespace::{Privilege, share};
use crate::request::stream::RequestStream;
use crate::store::{Store, StoreError};

/// A program that does not exist.
const PROGRAM: &str = "/no-such-program";
/// The user id of the test container: the one of most builders.
const CNB_UID: u32 = 1000;
/// Free bytes that suffice for a builder, a run image and an application.
const ENOUGH: u64 = 5_000_000_000;
const GIGABYTE: u64 = 1_000_000_000;
const MEGABYTE: u64 = 1_000_000;

const OUTSIDE: &str = "run locald outside of a container, or in one that is privileged";

/// Serves a doctor request.
pub async fn run(agent: &Agent, stream: &RequestStream) -> Result<Reply, Failure> {
    stream.event(Event::Check(privilege())).await?;
    stream.event(Event::Check(space(&agent.store))).await?;
    let network = LoopbackNetwork::new(&[80, 443]);
    stream.event(Event::Check(judge_network(&network))).await?;
    let phase = match network {
        Ok(network) => network.network(),
        Err(_) => Network::None,
    };
    let ways = [
        ("containers of a build", Stdio::Pipes, phase),
        ("containers of a shell", TERMINAL, Network::Host),
    ];
    for (name, stdio, network) in ways {
        let start = Instant::now();
        let tried = attempt(&agent.store, stdio, network).await;
        let millis = start.elapsed().as_millis();
        let check = judge_container(name, tried, millis);
        stream.event(Event::Check(check)).await?;
    }
    stream.event(Event::Check(private_network())).await?;
    stream.event(Event::Check(limits())).await?;
    stream.event(Event::Check(sockets())).await?;
    Ok(Reply::Nothing)
}

const TERMINAL: Stdio = Stdio::Terminal {
    rows: 24,
    columns: 80,
};

fn bad(name: &str, error: &dyn std::error::Error, remedy: Option<&str>) -> Check {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = chain.map(ToString::to_string).collect();
    Check::bad(name, texts.join(": "), remedy.map(str::to_owned))
}

/// Reports the privilege. Without its namespaces the agent would not have
/// started.
fn privilege() -> Check {
    let name = "namespaces";
    match Privilege::of_this_process() {
        Ok(Privilege::Root) => Check::good(name, "the agent is root"),
        Ok(Privilege::Rootless) => {
            Check::good(name, "the agent is root of a user namespace of its own")
        }
        Err(error) => bad(name, &error, None),
    }
}

fn space(store: &Store) -> Check {
    let name = "store";
    let path = store.root().display();
    if let Err(error) = writable(store) {
        let remedy = "set LOCALD_HOME to a folder that you may write, on a disk with space";
        return bad(name, &error, Some(remedy));
    }
    let free = rustix::fs::statvfs(store.root())
        .map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    let detail = format!("{path}, {} GB free", free / GIGABYTE);
    if free >= ENOUGH {
        return Check::good(name, detail);
    }
    Check {
        verdict: Verdict::Degraded,
        remedy: Some("`locald image rm` what is not needed, or set LOCALD_HOME".to_owned()),
        ..Check::good(name, detail)
    }
}

fn writable(store: &Store) -> Result<(), StoreError> {
    let directory = store.temporary()?;
    let file = directory.path().join("file");
    fs_err::write(&file, [0; 4096]).map_err(|error| StoreError::io("write", &file, error))
}

fn judge_network<E: std::error::Error>(network: &Result<LoopbackNetwork, E>) -> Check {
    let name = "network of phases";
    match network {
        Ok(_) => Check::good(name, "phases see the agent's registry, and nothing else"),
        Err(error) => bad(name, error, Some(OUTSIDE)),
    }
}

/// Checks `--network private`. Nothing else needs it.
fn private_network() -> Check {
    let name = "pasta";
    match pasta::find() {
        Ok(program) => Check::good(name, program.display().to_string()),
        Err(error) => Check {
            verdict: Verdict::Degraded,
            remedy: Some("install passt, where `--network private` is wanted".to_owned()),
            ..Check::good(name, format!("no `--network private`: {error}"))
        },
    }
}

/// Reports the limits that apply to containers. A build does not need any.
fn limits() -> Check {
    let processes = limits::processes();
    let share = share::memory();
    let memory = match share {
        Some(bytes) => format!("all have at most {} MB of memory", bytes / MEGABYTE),
        None => "memory has no limit, as locald has no cgroup of its own".to_owned(),
    };
    let detail = format!(
        "a container has at most {processes} processes; {memory}; it runs out for containers first"
    );
    let check = Check::good("limits", detail);
    if share.is_some() {
        return check;
    }
    Check {
        verdict: Verdict::Degraded,
        remedy: Some(
            "`systemd-run --user --scope -p Delegate=yes locald ...` gives it one".to_owned(),
        ),
        ..check
    }
}

/// Checks Landlock's scopes. Only a newer kernel adds them.
fn sockets() -> Check {
    let name = "abstract sockets";
    if container::has_scopes() {
        return Check::good(name, "out of reach of containers");
    }
    Check {
        verdict: Verdict::Degraded,
        remedy: Some("use Linux 6.12 or newer, or `--network private`".to_owned()),
        ..Check::good(
            name,
            "in reach of a build or shell that shares this system's network",
        )
    }
}

/// Sets up a container up to the execution of its program.
async fn attempt(store: &Store, stdio: Stdio, network: Network) -> Result<(), Failed> {
    let state = store.temporary()?;
    let directory = |name: &str| {
        let path = state.path().join(name);
        fs_err::create_dir(&path).map_err(|error| StoreError::io("make", &path, error))?;
        Ok::<_, StoreError>(path)
    };
    let spec = ContainerSpec {
        lowers: vec![directory("lower")?],
        upper: Upper::Directory {
            upper: directory("upper")?,
            work: directory("work")?,
        },
        directories: Vec::new(),
        mounts: Vec::new(),
        args: vec![PROGRAM.to_owned()],
        env: Vec::new(),
        cwd: "/".into(),
        user: User {
            uid: CNB_UID,
            gid: CNB_UID,
            groups: Vec::new(),
        },
        hostname: "locald".to_owned(),
        network,
        stdio,
        extra_hosts: Vec::new(),
    };
    match Container::start(spec, state.path()).await {
        Err(ContainerError::Program { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(container) => Ok(container.kill().await?),
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Container(#[from] ContainerError),
}

fn judge_container(name: &str, tried: Result<(), Failed>, millis: u128) -> Check {
    match tried {
        Ok(()) => Check::good(name, format!("set up in {millis} ms")),
        Err(error) => {
            let check = bad(name, &error, None);
            let remedy = remedy(&check.detail);
            Check { remedy, ..check }
        }
    }
}

/// A hint for the most frequent causes.
fn remedy(detail: &str) -> Option<String> {
    let remedies = [
        (
            "cannot be stacked",
            "set LOCALD_HOME to a folder on ext4, xfs or btrfs: overlayfs refuses this one",
        ),
        ("proc", OUTSIDE),
        ("namespace", OUTSIDE),
        ("mount", OUTSIDE),
        ("filtered", "use a kernel with CONFIG_SECCOMP_FILTER=y"),
    ];
    let known = remedies
        .iter()
        .find(|(symptom, _)| detail.contains(symptom));
    known.map(|(_, remedy)| (*remedy).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_overlay_is_a_matter_of_the_store() {
        let error = Failed::Store(StoreError::io(
            "stack",
            "/x".as_ref(),
            io::Error::other("2 layers cannot be stacked at /"),
        ));
        let check = judge_container("containers", Err(error), 1);
        assert_eq!(check.verdict, Verdict::Bad);
        assert!(check.remedy.is_some_and(|it| it.contains("LOCALD_HOME")));
    }
}
