//! A program in a distribution, with the standard streams of `wsl.exe`.

use std::io::{self, Read};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::words::Refusal;
use super::{Call, Service};
use crate::frame::{self, Kind};

/// How long a distribution outlives its last program.
const IDLE: Duration = Duration::from_secs(15);

pub(super) fn execute(
    service: &Arc<Service>,
    mut call: Call,
    name: &str,
    program: &[String],
) -> io::Result<()> {
    if let Some(fault) = &call.fault {
        return call.refuse(&Refusal::fault(&fault.clone()));
    }
    let init = {
        let mut distributions = service.distributions();
        let Some(distribution) = distributions.get_mut(name) else {
            drop(distributions);
            return call.refuse(&Refusal::not_found());
        };
        distribution.enter()?
    };
    let result = run(&call.client, init, program);
    let idle = service
        .distributions()
        .get_mut(name)
        .and_then(super::Distribution::leave);
    if let Some(generation) = idle {
        let (service, name) = (Arc::clone(service), name.to_owned());
        std::thread::spawn(move || {
            std::thread::sleep(IDLE);
            if let Some(distribution) = service.distributions().get_mut(&name) {
                distribution.end_if_idle(generation);
            }
        });
    }
    call.exit(result?)
}

fn run(client: &TcpStream, init: u32, program: &[String]) -> io::Result<i32> {
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "nsenter", "--target"])
        .arg(init.to_string())
        .args([
            "--mount",
            "--pid",
            "--root",
            "--wd=/",
            "--",
            "/bin/busybox",
            "env",
            "-i",
        ])
        .args([
            "HOME=/root",
            "USER=root",
            "PATH=/usr/local/bin:/usr/bin:/bin:/sbin",
        ])
        .args(["WSL_DISTRO_NAME=locald"])
        .args(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    let mut input = client.try_clone()?;
    std::thread::spawn(move || feed(&mut input, stdin));
    let output = Arc::new(Mutex::new(client.try_clone()?));
    let relays: Vec<_> = [
        child
            .stdout
            .take()
            .map(|it| relay(it, Kind::Output, &output)),
        child
            .stderr
            .take()
            .map(|it| relay(it, Kind::Error, &output)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let status = child.wait()?;
    for relay in relays {
        let _ = relay.join();
    }
    Ok(status.code().unwrap_or(137))
}

/// Closes the program's input at the end of the client's, or when the client
/// is gone.
fn feed(client: &mut TcpStream, stdin: Option<impl io::Write>) {
    let Some(mut stdin) = stdin else { return };
    while let Ok((Kind::Input, bytes)) = frame::read(client) {
        if stdin.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn relay(
    mut from: impl Read + Send + 'static,
    kind: Kind,
    to: &Arc<Mutex<TcpStream>>,
) -> std::thread::JoinHandle<()> {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count) = from.read(&mut buffer) {
            let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
            if count == 0 || frame::write(&mut *to, kind, &buffer[..count]).is_err() {
                return;
            }
        }
    })
}
