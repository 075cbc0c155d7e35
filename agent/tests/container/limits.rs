//! How much of the machine a container can take.

use agent::container::{Access, ContainerSpec};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::stage::{Stage, bind};

/// Makes this program start threads, inside of a container.
pub(crate) const CROWD: &str = "__crowd";

pub(crate) const TESTS: &[crate::Test] = &[
    ("limits::processes_are_limited", |stage| {
        Box::pin(processes_are_limited(stage))
    }),
    ("limits::processes_are_counted_by_container", |stage| {
        Box::pin(processes_are_counted_by_container(stage))
    }),
    ("limits::containers_end_first_without_memory", |stage| {
        Box::pin(containers_end_first_without_memory(stage))
    }),
    ("limits::files_are_limited_as_outside", |stage| {
        Box::pin(files_are_limited_as_outside(stage))
    }),
];

/// An agent may open more for itself.
async fn files_are_limited_as_outside(stage: &Stage) {
    let before = getrlimit(Resource::Nofile).current.unwrap();
    agent::kernel::descriptors::raise();
    let raised = getrlimit(Resource::Nofile);
    assert!(raised.current > Some(before) || before >= raised.maximum.unwrap().min(16_384));
    let ended = stage.run(stage.shell("ulimit -Sn")).await;
    assert_eq!(ended.stdout, format!("{before}\n"), "{ended:?}");
}

async fn processes_are_limited(stage: &Stage) {
    let script = "ulimit -Su; ulimit -Hu; ulimit -u unlimited 2>/dev/null && echo raised";
    let ended = stage
        .run(stage.shell(&format!("exec bash -c '{script}'")))
        .await;
    let limits: Vec<u64> = ended.stdout.lines().map(|it| it.parse().unwrap()).collect();
    let most = |name: &str| -> u64 {
        let path = format!("/proc/sys/kernel/{name}");
        let text = fs_err::read_to_string(path).unwrap();
        text.trim().parse().unwrap()
    };
    let most = (most("pid_max") / 2)
        .min(most("threads-max") / 2)
        .min(32_768);
    assert!(limits.len() == 2, "{ended:?}");
    // Whoever runs the tests may have less.
    assert!(limits.iter().all(|it| (1..=most).contains(it)), "{ended:?}");
}

/// A bomb goes off in its own container, and takes nothing from another one of
/// the same user.
async fn processes_are_counted_by_container(stage: &Stage) {
    let mut bomb = stage.start(crowd(stage, 60)).await.unwrap();
    let input = bomb.stdin();
    let mut lines = BufReader::new(bomb.stdout().unwrap()).lines();
    let alive = lines.next_line().await.unwrap();
    // The first of them is the program itself.
    assert_eq!(alive.as_deref(), Some("29 threads"));
    let ended = stage.run(crowd(stage, 20)).await;
    assert_eq!(ended.stdout, "20 threads\n", "{ended:?}");
    drop(input);
    assert_eq!(bomb.wait().await.unwrap().0, 0);
}

/// A container with as many threads as asked for, or as it can have.
fn crowd(stage: &Stage, wanted: usize) -> ContainerSpec {
    let mut spec = stage.spec(&["/crowd", CROWD, &wanted.to_string()]);
    let program = std::env::current_exe().unwrap();
    spec.mounts.push(bind(program, "/crowd", Access::ReadOnly));
    spec
}

/// Starts threads until there are enough or no more can be, says how many, and
/// waits for the end of its input.
pub(crate) fn gather() {
    let wanted: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let limit = Rlimit {
        current: Some(30),
        maximum: Some(30),
    };
    setrlimit(Resource::Nproc, limit).unwrap();
    let started = (0..wanted).map_while(|_| {
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        thread.spawn(std::thread::park).ok()
    });
    println!("{} threads", started.count());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

async fn containers_end_first_without_memory(stage: &Stage) {
    let script = "cat /proc/self/oom_score_adj; echo -1000 > /proc/self/oom_score_adj && echo set";
    let ended = stage.run(stage.shell(script)).await;
    let own = fs_err::read_to_string("/proc/self/oom_score_adj").unwrap();
    let own: i32 = own.trim().parse().unwrap();
    assert_eq!(ended.stdout, format!("{}\n", own.max(500)), "{ended:?}");
}
