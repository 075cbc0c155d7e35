//! What is behind `wsl.exe`: distributions, and programs in them.

mod command;
mod distribution;
mod execution;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::frame::{self, Kind};
use command::Command;
use distribution::Distribution;

/// All distributions of a user.
#[derive(Debug)]
pub(crate) struct Service {
    folder: PathBuf,
    distributions: Mutex<BTreeMap<String, Distribution>>,
}

/// One call of `wsl.exe`.
#[derive(Debug)]
pub(crate) struct Call {
    arguments: Vec<String>,
    utf8: bool,
    fault: Option<String>,
    /// The content of the file that it names; absent when that is not there.
    file: Option<Vec<u8>>,
    client: TcpStream,
}

/// Serves until it is killed; the port is the first line on standard output.
pub(crate) fn run(folder: &Path) -> ExitCode {
    match serve(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "wsl stand-in: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(folder: &Path) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    let service = Arc::new(Service {
        folder: folder.to_owned(),
        distributions: Mutex::default(),
    });
    for client in listener.incoming() {
        let (service, client) = (Arc::clone(&service), client?);
        std::thread::spawn(move || {
            let served = Call::receive(client).and_then(|call| command::serve(&service, call));
            if let Err(error) = served {
                // The user has ended wsl.exe.
                let _ = writeln!(io::stderr(), "wsl stand-in: {error}");
            }
        });
    }
    Ok(())
}

impl Service {
    pub(crate) fn distributions(&self) -> MutexGuard<'_, BTreeMap<String, Distribution>> {
        self.distributions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the disk of a number is.
    pub(crate) fn disk(&self, number: &str) -> PathBuf {
        self.folder.join(number)
    }
}

impl Call {
    fn receive(mut client: TcpStream) -> io::Result<Self> {
        client.set_nodelay(true)?;
        let (mut arguments, mut utf8, mut fault, mut file) = (Vec::new(), false, None, None);
        loop {
            let (kind, bytes) = frame::read(&mut client)?;
            let text = || String::from_utf8_lossy(&bytes).into_owned();
            match kind {
                Kind::Argument => arguments.push(text()),
                Kind::Utf8 => utf8 = true,
                Kind::Fault => fault = Some(text()),
                Kind::File => file = Some(bytes),
                Kind::Missing => {}
                Kind::Begin => break,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        Ok(Self {
            arguments,
            utf8,
            fault,
            file,
            client,
        })
    }

    fn command(&self) -> Option<Command> {
        let words: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Command::parse(&words)
    }
}
