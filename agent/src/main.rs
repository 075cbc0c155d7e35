//! `locald-agent`: the Linux side of locald, as a program of its own.

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
