//! How long a container takes from the wish to the exit of `/bin/true`.
//!
//! `cargo bench -p locald-agent --bench container_start`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "a benchmark reports to people and fails at once; the tests' stage can do more"
)]

use std::time::{Duration, Instant};

#[path = "../tests/container/stage.rs"]
mod stage;

const WARM_UP: usize = 20;
const ROUNDS: usize = 300;

fn main() {
    // A container's runner is this program, executed again.
    agent::run_hidden_task();
    let privilege = agent::kernel::namespace::enter().unwrap_or_else(|error| panic!("{error}"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = stage::Stage::new(privilege);
    let mut times = runtime.block_on(async {
        let mut times = Vec::new();
        for _ in 0..WARM_UP + ROUNDS {
            let start = Instant::now();
            let ended = stage.run(stage.spec(&["/bin/true"])).await;
            assert_eq!(ended.code, 0);
            times.push(start.elapsed());
        }
        times.split_off(WARM_UP)
    });
    times.sort_unstable();
    let at = |hundredths: usize| milliseconds(times[times.len() * hundredths / 100]);
    println!(
        "container start ({privilege:?}), {ROUNDS} times: p50 {:.1} ms, p95 {:.1} ms",
        at(50),
        at(95)
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
