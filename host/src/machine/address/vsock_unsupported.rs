//! Only Linux has `AF_VSOCK` sockets.

use std::future::{Ready, ready};
use std::io;

use protocol::hello::Token;
use tokio::io::DuplexStream;

use super::MachineError;

pub(in crate::machine) fn connect(_cid: u32, _port: u32) -> Ready<io::Result<DuplexStream>> {
    ready(Err(io::ErrorKind::Unsupported.into()))
}

pub(super) fn token() -> Result<Token, MachineError> {
    Err(MachineError::NotHere("vsock"))
}
