//! Connects the host with a TCP port of this machine's loopback address: one
//! request for each connection.

use bytes::BytesMut;
use protocol::{Channel, Event, Failure, FailureKind, Input, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::Agent;
use crate::request::stream::{HostGone, Incoming, Inputs, RequestStream};

/// Bytes to copy at a time.
const BUFFER: usize = 64 * 1024;

/// Serves one connection until both sides have closed it.
pub(crate) async fn forward(
    agent: &Agent,
    port: u16,
    stream: RequestStream,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    // Above the limit, a connection waits until another one ends.
    let _place = agent.forwarded.acquire().await;
    let connection = connect(port).await?;
    // Disables Nagle's algorithm, because small writes must not wait.
    let _ = connection.set_nodelay(true);
    let (reader, writer) = connection.into_split();
    stream.event(Event::Started).await?;
    tokio::try_join!(to_host(reader, &stream), from_host(inputs, writer))?;
    Ok(Reply::Nothing)
}

/// Connects to a port. A program may listen on either loopback address, or on
/// both.
async fn connect(port: u16) -> Result<TcpStream, Failure> {
    let connected = match TcpStream::connect(("127.0.0.1", port)).await {
        Ok(stream) => Ok(stream),
        Err(error) => TcpStream::connect(("::1", port)).await.map_err(|_| error),
    };
    connected.map_err(|error| {
        let message = format!("port {port} of the machine does not answer: {error}");
        Failure::new(FailureKind::NotFound, message)
    })
}

async fn to_host(mut reader: OwnedReadHalf, stream: &RequestStream) -> Result<(), HostGone> {
    let mut buffer = BytesMut::with_capacity(BUFFER);
    loop {
        buffer.reserve(BUFFER);
        match reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                stream.data(Channel::Bulk, buffer.split().freeze()).await?;
            }
        }
    }
    stream.event(Event::EndOfData).await
}

async fn from_host(mut inputs: Inputs, mut writer: OwnedWriteHalf) -> Result<(), HostGone> {
    loop {
        match inputs.recv().await.ok_or(HostGone)? {
            Incoming::Data(Channel::Bulk, bytes) => {
                // A program that has stopped reading may still write.
                let _ = writer.write_all(&bytes).await;
            }
            Incoming::Input(Input::EndOfData) => break,
            Incoming::Input(_) | Incoming::Data(..) => {}
        }
    }
    let _ = writer.shutdown().await;
    Ok(())
}
