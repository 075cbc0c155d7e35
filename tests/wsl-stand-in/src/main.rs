//! A stand-in for WSL, for tests where there is no Windows.
//!
//! As `wsl.exe` (built for Windows, and run under Wine) it hands its command
//! line and its standard streams to a server, and ends as the server says. The
//! server, on Linux, keeps distributions: folders, in which programs run in
//! namespaces of their own. It keeps to what WSL 2.9 does as far as locald
//! relies on it: UTF-16 on standard output, also for errors, unless `WSL_UTF8`
//! is set; -1 for failures; bytes of `--exec` as they are; a distribution that
//! ends 15 seconds after its last program.

mod client;
mod frame;
#[cfg(unix)]
mod server;

use std::process::ExitCode;

/// The variable that says where the server is: `127.0.0.1:PORT`.
const SERVER: &str = "WSL_STAND_IN";
/// The variable of an error that each start of a distribution ends with.
const FAULT: &str = "WSL_STAND_IN_FAULT";

#[cfg(unix)]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if let (Some("serve"), Some(folder)) = (arguments.next().as_deref(), arguments.next()) {
        return server::run(folder.as_ref());
    }
    client::run()
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    client::run()
}
