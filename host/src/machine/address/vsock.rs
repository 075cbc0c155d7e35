//! Reaches an agent in a virtual machine by the kernel's vsock.

use std::io;

use protocol::hello::Token;
use tokio_vsock::{VsockAddr, VsockStream};

use super::MachineError;

/// The environment variable with the path of the agent's token.
const TOKEN_FILE: &str = "LOCALD_AGENT_TOKEN_FILE";

pub(in crate::machine) async fn connect(cid: u32, port: u32) -> io::Result<VsockStream> {
    VsockStream::connect(VsockAddr::new(cid, port)).await
}

/// Reads the token that the agent requires.
pub(super) fn token() -> Result<Token, MachineError> {
    let path = std::env::var_os(TOKEN_FILE).unwrap_or_default();
    let failed = |source| MachineError::Connect {
        address: format!("vsock: cannot read the file named by {TOKEN_FILE}"),
        source,
    };
    let bytes = fs_err::read(path).map_err(failed)?;
    let token = bytes.try_into();
    token
        .map(Token)
        .map_err(|_| failed(io::Error::other("it must have 32 bytes")))
}
