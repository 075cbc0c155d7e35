//! Nothing outlives what it belongs to.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::stage::{Stage, descendants, explain};

/// Makes this program an agent with a container, to be killed.
pub(crate) const PARENT: &str = "__parent";

pub(crate) const TESTS: &[crate::Test] = &[
    ("lifetime::drop_kills", |stage| Box::pin(drop_kills(stage))),
    ("lifetime::kill_waits", |stage| Box::pin(kill_waits(stage))),
    ("lifetime::daemons_end", |stage| {
        Box::pin(daemons_end(stage))
    }),
    ("lifetime::killed_runner", |stage| {
        Box::pin(killed_runner(stage))
    }),
    ("lifetime::killed_agent", |stage| {
        Box::pin(async { killed_agent(stage) })
    }),
    ("lifetime::abandoned_starts", |stage| {
        Box::pin(abandoned_starts(stage))
    }),
    ("lifetime::parallel", |stage| Box::pin(parallel(stage))),
    ("lifetime::many", |stage| Box::pin(many(stage))),
];

/// Process descriptors of everything below a process.
fn watched(of: u32) -> Vec<OwnedFd> {
    let open = |pid: u32| {
        pidfd_open(
            Pid::from_raw(pid.cast_signed()).unwrap(),
            PidfdFlags::empty(),
        )
    };
    descendants(of)
        .into_iter()
        .filter_map(|pid| open(pid).ok())
        .collect()
}

/// Waits for the end of all, five seconds at most in all.
fn assert_ended(processes: &[OwnedFd]) {
    let limit = std::time::Instant::now() + Duration::from_secs(5);
    for process in processes {
        let left = limit.saturating_duration_since(std::time::Instant::now());
        let left = Timespec::try_from(left).unwrap();
        let mut ended = [PollFd::new(process, PollFlags::IN)];
        assert_eq!(
            poll(&mut ended, Some(&left)).unwrap(),
            1,
            "a process is left"
        );
    }
}

async fn sleeping(stage: &Stage) -> agent::container::Container {
    let spec = stage.shell("sleep 1000 & sleep 1000 & echo ready; wait");
    let mut container = stage.start(spec).await.unwrap();
    let mut lines = BufReader::new(container.stdout().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
    container
}

async fn drop_kills(stage: &Stage) {
    let container = sleeping(stage).await;
    let processes = watched(std::process::id());
    assert!(processes.len() >= 5, "runner, init, shell and two sleepers");
    drop(container);
    assert_ended(&processes);
}

async fn kill_waits(stage: &Stage) {
    let container = sleeping(stage).await;
    let processes = watched(std::process::id());
    container.kill().await.unwrap();
    assert_ended(&processes);
}

/// What the payload leaves behind ends with it.
async fn daemons_end(stage: &Stage) {
    let script = "setsid sleep 1000 </dev/null >/dev/null 2>&1 & read x; exit 5";
    let mut container = stage.start(stage.shell(script)).await.unwrap();
    drop(container.stdin());
    assert_eq!(container.wait().await.unwrap().0, 5);
    assert_eq!(descendants(std::process::id()), [0; 0]);
}

async fn killed_runner(stage: &Stage) {
    let mut container = sleeping(stage).await;
    let processes = watched(std::process::id());
    let runner = processes.first().unwrap();
    pidfd_send_signal(runner, Signal::KILL).unwrap();
    let error = container.wait().await.unwrap_err();
    assert!(
        explain(&error).starts_with("the container's runner ended unexpectedly (signal: 9"),
        "{}",
        explain(&error)
    );
    assert_ended(&processes);
}

fn killed_agent(stage: &Stage) {
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args([
            PARENT.as_ref(),
            stage.base().as_os_str(),
            stage.state().as_os_str(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 6];
    agent
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut said)
        .unwrap();
    assert_eq!(&said, b"ready\n");
    let processes = watched(agent.id());
    assert!(processes.len() >= 4, "runner, init, shell and sleeper");
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_ended(&processes);
}

/// An agent with one container, until it is killed.
pub(crate) fn parent() {
    let mut paths = std::env::args_os().skip(2).map(std::path::PathBuf::from);
    let (base, state) = (paths.next().unwrap(), paths.next().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut spec = Stage::shell_over(base, "sleep 1000 & echo ready; wait");
        "killed".clone_into(&mut spec.hostname);
        let mut container = agent::container::Container::start(spec, &state)
            .await
            .unwrap();
        let mut lines = BufReader::new(container.stdout().unwrap()).lines();
        println!("{}", lines.next_line().await.unwrap().unwrap());
        container.wait().await.unwrap();
    });
}

/// A start that is given up at any moment leaves nothing.
async fn abandoned_starts(stage: &Stage) {
    for micros in (0..40).map(|step| step * 500) {
        let start = stage.start(stage.spec(&["sleep", "1000"]));
        drop(tokio::time::timeout(Duration::from_micros(micros), start).await);
    }
    assert_ended(&watched(std::process::id()));
}

async fn parallel(stage: &Stage) {
    let runs = (0..50).map(|number| {
        let spec = stage.shell(&format!("exit {number}"));
        async move { (number, stage.run(spec).await.code) }
    });
    for (expected, code) in futures_util::future::join_all(runs).await {
        assert_eq!(code, expected);
    }
}

/// Two hundred containers, one after the other, while others come and go.
async fn many(stage: &Stage) {
    stage.run(stage.spec(&["true"])).await;
    let before = held();
    let row = async {
        for number in 0..200 {
            let spec = stage.shell(&format!("exit {}", number % 200));
            assert_eq!(u32::from(stage.run(spec).await.code), number);
        }
    };
    let load = async {
        for _ in 0..4 {
            parallel(stage).await;
        }
    };
    tokio::join!(row, load);
    assert_eq!(held(), before);
    assert_ended(&watched(std::process::id()));
}

/// Descriptors and mounts of this process: what could be left of a container.
fn held() -> (usize, usize) {
    let descriptors = fs_err::read_dir("/proc/self/fd").unwrap().count();
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
    (descriptors, mounts.lines().count())
}
