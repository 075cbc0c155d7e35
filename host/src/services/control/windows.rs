//! The control socket as a named pipe that belongs to its user.

use std::io;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::net::windows::named_pipe::{
    ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions,
};

/// `ERROR_PIPE_BUSY`: all instances are in use.
const BUSY: i32 = 231;
/// The pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Listener {
    name: String,
    /// The instance for the next client.
    next: NamedPipeServer,
}

impl Listener {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let name = name(path);
        let mut options = ServerOptions::new();
        let next = options.first_pipe_instance(true).create(&name)?;
        Ok(Self { name, next })
    }

    pub(super) async fn accept(&mut self) -> io::Result<NamedPipeServer> {
        self.next.connect().await?;
        let next = ServerOptions::new().create(&self.name)?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

pub(super) async fn connect(path: &Path) -> io::Result<NamedPipeClient> {
    loop {
        match ClientOptions::new().open(name(path)) {
            Err(error) if error.raw_os_error() == Some(BUSY) => tokio::time::sleep(PAUSE).await,
            opened => return opened,
        }
    }
}

/// Derives the name of a pipe from the path: pipes are not files.
fn name(path: &Path) -> String {
    let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
    let digits = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
    format!(r"\\.\pipe\locald-{}", digits.collect::<String>())
}
