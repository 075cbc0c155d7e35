//! Real containers, as root and as an ordinary user without subordinate ids.
//!
//! The root file system is the machine's own `/usr`, read-only. A container's
//! runner is this program, executed again, so the tests have a `main` of their
//! own; an argument chooses tests by a part of their name.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test program reports to people and fails at once"
)]

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

mod confinement;
mod files;
mod layer_stack;
mod layers;
mod lifetime;
mod limits;
mod network;
mod programs;
mod refusal;
mod stage;
mod streams;
mod surroundings;

use agent::kernel::namespace::{self, Privilege};
use stage::Stage;

/// Long enough for a busy machine, short enough for one that hangs.
const DEADLINE: Duration = Duration::from_mins(5);
/// What has ended is reaped in this time.
const ENDING: Duration = Duration::from_secs(5);
/// Nobody: has no entry in `/etc/passwd` or `/etc/subuid`.
const ORDINARY_USER: u32 = 54_321;

/// A test: its name and what it does.
type Test = (&'static str, fn(&Stage) -> stage::Running<'_>);

fn main() {
    agent::run_hidden_task();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(confinement::PROBE) => return confinement::probe(),
        Some(lifetime::PARENT) => return lifetime::parent(),
        Some(network::CONNECT) => return network::connect(),
        Some(limits::CROWD) => return limits::gather(),
        _ => {}
    }
    let filters: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in tests(&filters) {
            println!("{name}: test");
        }
        return;
    }
    let failed = run_as_ordinary_user(&arguments) + run(&filters);
    std::process::exit(i32::from(failed > 0));
}

fn tests(filters: &[&str]) -> Vec<Test> {
    let all = [
        confinement::TESTS,
        files::TESTS,
        layers::TESTS,
        lifetime::TESTS,
        limits::TESTS,
        network::TESTS,
        programs::TESTS,
        refusal::TESTS,
        streams::TESTS,
        surroundings::TESTS,
    ];
    let chosen =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
    let all = all.into_iter().flatten();
    all.filter(|(name, _)| chosen(name)).copied().collect()
}

/// Root tests both: the same program once more, as somebody else.
fn run_as_ordinary_user(arguments: &[String]) -> usize {
    if !rustix::process::geteuid().is_root() || std::env::var_os("LOCALD_TEST_ROOT_ONLY").is_some()
    {
        return 0;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .uid(ORDINARY_USER)
        .gid(ORDINARY_USER)
        .env_remove("TMPDIR")
        .status()
        .unwrap();
    usize::from(!status.success())
}

fn run(filters: &[&str]) -> usize {
    match namespace::enter() {
        Ok(privilege) => run_all(filters, privilege),
        Err(error) => panic!("{}", stage::explain(&error)),
    }
}

fn run_all(filters: &[&str], privilege: Privilege) -> usize {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let stage = Stage::new(privilege);
    let mut failed = 0;
    for (name, test) in tests(filters) {
        let started = Instant::now();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async { tokio::time::timeout(DEADLINE, test(&stage)).await })
        }));
        let verdict = match outcome {
            Ok(Ok(())) => "ok",
            Ok(Err(_)) => "FAILED: deadline",
            Err(_) => "FAILED",
        };
        failed += usize::from(verdict != "ok");
        println!(
            "test {privilege:?}::{name} ... {verdict} ({} ms)",
            started.elapsed().as_millis()
        );
    }
    // The runner of a container that was refused is reaped a moment later.
    let ended = Instant::now();
    let left = runtime.block_on(async {
        loop {
            let left = stage::descendants(std::process::id());
            if left.is_empty() || ended.elapsed() > ENDING {
                return left;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    println!("processes left: {left:?}");
    failed + left.len()
}
