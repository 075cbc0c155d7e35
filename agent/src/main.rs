//! `locald-agent`: the Linux part of locald, as a separate program.

#[cfg(target_os = "linux")]
mod cli;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    agent::run_hidden_task();
    if agent::machine::guest::is_init() {
        return agent::machine::guest::run();
    }
    cli::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
