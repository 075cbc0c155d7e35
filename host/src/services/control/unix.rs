//! The control socket in the runtime folder of a project.

use std::io;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::platform::state_file;

#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        state_file::remove(path)?;
        Ok(Self {
            socket: UnixListener::bind(path)?,
            path: path.to_owned(),
        })
    }

    pub(super) async fn accept(&mut self) -> io::Result<UnixStream> {
        self.socket.accept().await.map(|(stream, _)| stream)
    }
}

/// Removes the socket. The process still holds the lock of the folder, so the
/// socket is its own.
impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs_err::remove_file(&self.path);
    }
}

pub(super) async fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}
