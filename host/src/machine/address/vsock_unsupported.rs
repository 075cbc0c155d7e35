//! Only Linux has AF_VSOCK sockets.

use std::io;

use protocol::hello::Token;
use tokio::io::DuplexStream;

use super::MachineError;

pub(in crate::machine) async fn connect(_cid: u32, _port: u32) -> io::Result<DuplexStream> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn token() -> Result<Token, MachineError> {
    Err(MachineError::NotHere("vsock"))
}
