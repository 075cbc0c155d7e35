//! A proxy between locald and a real registry, which breaks what it carries.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

/// What happens to the answers on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The connection is reset after so many bytes.
    Reset(usize),
    /// They come in very small pieces at first.
    Trickle,
    /// A large answer announces another length than it has.
    Length(i64),
}

/// Carries connections as long as the test runs.
#[derive(Debug)]
pub struct FaultProxy {
    address: String,
}

/// An answer that is larger holds a layer.
const LARGE: usize = 1_000_000;

impl FaultProxy {
    /// Starts it before a registry; the fault depends on how many connections
    /// there were before.
    pub fn start(registry: &str, fault: impl Fn(usize) -> Fault + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let registry = registry.to_owned();
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let server = TcpStream::connect(&registry).unwrap();
                let fault = fault(number);
                // Either end may hang up at any time.
                std::thread::spawn(move || drop(carry(client, server, fault)));
            }
        });
        Self { address }
    }

    /// `localhost:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }
}

fn carry(mut client: TcpStream, mut server: TcpStream, fault: Fault) -> std::io::Result<()> {
    let (mut questions, mut asked) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut questions, &mut asked);
        let _ = asked.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 64 * 1024];
    let (mut carried, mut left) = (0, None);
    loop {
        let count = server.read(&mut buffer)?;
        let mut bytes = buffer[..count].to_vec();
        carried += count;
        match fault {
            _ if count == 0 => return client.shutdown(Shutdown::Both),
            Fault::Reset(after) if carried > after => {
                rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
                // Who carries the questions ends, and with both the connection.
                return client.shutdown(Shutdown::Read);
            }
            Fault::Trickle if carried < 200_000 => {
                client.set_nodelay(true)?;
                for piece in bytes.chunks(97) {
                    client.write_all(piece)?;
                }
                continue;
            }
            Fault::Length(change) if left.is_none() => left = lie(&mut bytes, change),
            Fault::Length(_) => left = left.map(|left: usize| left.saturating_sub(count)),
            _ => {}
        }
        client.write_all(&bytes)?;
        if left == Some(0) {
            return client.shutdown(Shutdown::Both);
        }
    }
}

/// Changes the length that a large answer announces; returns how much of it is
/// still to come.
fn lie(bytes: &mut Vec<u8>, change: i64) -> Option<usize> {
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (before, after) = head.split_once("Content-Length: ")?;
    let (length, after) = after.split_once("\r\n")?;
    let length: usize = length.parse().ok()?;
    if length < LARGE {
        return None;
    }
    let wrong = length.checked_add_signed(isize::try_from(change).ok()?)?;
    let head = format!("{before}Content-Length: {wrong}\r\n{after}");
    let body = bytes.split_off(end);
    *bytes = [head.as_bytes(), &body].concat();
    Some(length - body.len())
}
