//! Forwards TCP ports. A port that opens in a remote machine opens on this
//! system's loopback address; each connection has a stream to the agent.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Channel, Event, Input, Request};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::connection::agent::{AgentConnection, AgentError, Exchange, Message};

/// Bytes per read of a forwarded connection.
const BUFFER: usize = 64 * 1024;
/// The maximum number of connections to one port. A program that answers none
/// of them leaves permits for other ports.
const AT_A_PORT: usize = 512;
/// The maximum number of them that the program has not accepted yet.
const DIALING: usize = 16;
/// The pause after the system fails to accept a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// The forwarded ports. Dropping this closes them.
#[derive(Debug)]
pub(crate) struct Forwards {
    agent: Arc<AgentConnection>,
    open: HashMap<u16, JoinHandle<()>>,
}

impl Forwards {
    pub(crate) fn new(agent: &Arc<AgentConnection>) -> Self {
        Self {
            agent: Arc::clone(agent),
            open: HashMap::new(),
        }
    }

    /// Listens on this system for a port of the machine. Returns the port of
    /// this system: a free one if the same one is taken.
    pub(crate) async fn open(&mut self, port: u16) -> io::Result<u16> {
        let listener = match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::debug!(port, %error, "another port is taken");
                TcpListener::bind(("127.0.0.1", 0)).await?
            }
        };
        let own = listener.local_addr()?.port();
        let serving = serve(listener, Arc::clone(&self.agent), port, AT_A_PORT);
        let serving = tokio::spawn(serving);
        if let Some(old) = self.open.insert(port, serving) {
            old.abort();
        }
        Ok(own)
    }

    /// Stops listening for a port of the machine.
    pub(crate) fn close(&mut self, port: u16) {
        if let Some(serving) = self.open.remove(&port) {
            serving.abort();
        }
    }
}

impl Drop for Forwards {
    fn drop(&mut self) {
        self.open.values().for_each(JoinHandle::abort);
    }
}

/// The message about a forwarded port of the machine, or about the failure.
pub(crate) fn opened(port: u16, here: io::Result<u16>) -> String {
    match here {
        Ok(own) if own == port => format!("Port {port} is at http://localhost:{port}"),
        Ok(own) => format!("Port {port} is at http://localhost:{own}, as {port} is taken here"),
        Err(error) => format!("Port {port} cannot be forwarded: {error}"),
    }
}

/// Forwards the connections of a listener. Without a free permit, the accepted
/// connection waits, and later ones wait in the system's queue.
async fn serve(listener: TcpListener, agent: Arc<AgentConnection>, port: u16, most: usize) {
    let dialing = Arc::new(Semaphore::new(DIALING));
    let here = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = accept(&listener, port).await;
        let of_port = Arc::clone(&here).acquire_owned().await;
        let of_all = Arc::clone(&agent.forwarded).acquire_owned().await;
        let (agent, dialing) = (Arc::clone(&agent), Arc::clone(&dialing));
        connections.spawn(async move {
            let _places = (of_port, of_all);
            if let Err(error) = pass_on(stream, &agent, port, &dialing).await {
                tracing::debug!(port, %peer, %error, "forwarded connection");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Accepts the next connection. Tries again after an error: the system may lack
/// descriptors or memory for a while.
async fn accept(listener: &TcpListener, port: u16) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::debug!(port, %error, "accept");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A connection of locald's own to a port of the machine. Dropping it ends the
/// connection.
#[derive(Debug)]
pub(crate) struct Call {
    /// The bytes of both sides.
    pub(crate) stream: DuplexStream,
    _carrying: JoinSet<Result<(), AgentError>>,
}

impl Call {
    /// Connects. Returns `None` if no program listens on the port.
    pub(crate) async fn to(agent: &AgentConnection, port: u16) -> Option<Self> {
        let exchange = dial(agent, port).await.ok().flatten()?;
        let (stream, other) = tokio::io::duplex(BUFFER);
        let mut carrying = JoinSet::new();
        carrying.spawn(carry(other, exchange));
        Some(Self {
            stream,
            _carrying: carrying,
        })
    }
}

/// Forwards one connection until both sides have ended it.
async fn pass_on(
    stream: TcpStream,
    agent: &AgentConnection,
    port: u16,
    dialing: &Semaphore,
) -> Result<(), AgentError> {
    // Nagle's algorithm delays small writes.
    let _ = stream.set_nodelay(true);
    let place = dialing.acquire().await;
    let dialed = dial(agent, port).await;
    drop(place);
    match dialed? {
        Some(exchange) => carry(stream, exchange).await,
        // No program listens on the port: close the connection.
        None => Ok(()),
    }
}

async fn dial(agent: &AgentConnection, port: u16) -> Result<Option<Exchange>, AgentError> {
    let mut exchange = agent.request(&Request::Forward { port }).await?;
    let message = exchange.receiver.next().await?;
    Ok(matches!(message, Message::Event(Event::Started)).then_some(exchange))
}

async fn carry(stream: impl AsyncRead + AsyncWrite, exchange: Exchange) -> Result<(), AgentError> {
    let Exchange {
        mut sender,
        mut receiver,
    } = exchange;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let there = async {
        let mut buffer = vec![0; BUFFER];
        while let Ok(count) = reader.read(&mut buffer).await
            && count > 0
        {
            sender.data(Channel::Bulk, &buffer[..count]).await?;
        }
        sender.input(&Input::EndOfData).await
    };
    let back = async {
        loop {
            match receiver.next().await? {
                // A closed reader is not an error of the program.
                Message::Data(_, bytes) => {
                    let _ = writer.write_all(&bytes).await;
                }
                // The program sends no more data.
                Message::Event(Event::EndOfData) => {
                    let _ = writer.shutdown().await;
                }
                Message::Event(_) => {}
                Message::Outcome(_) => return Ok(()),
            }
        }
    };
    tokio::try_join!(there, back).map(drop)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use protocol::frame::{self, Frame};
    use protocol::hello::{self, Token};
    use protocol::{Connection, Stream};

    use super::*;

    const MOST: usize = 8;

    /// An agent that sends the data of a forwarded connection back.
    async fn echo(mut stream: Stream) -> Result<(), protocol::FrameError> {
        frame::read::<Request>(&mut stream).await?;
        frame::write_message(&mut stream, &Event::Started).await?;
        stream.flush().await?;
        while let Some(Frame::Data(channel, bytes)) = frame::read::<Input>(&mut stream).await? {
            frame::write_data(&mut stream, channel, &bytes).await?;
            stream.flush().await?;
        }
        Ok(())
    }

    async fn agent() -> Arc<AgentConnection> {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            hello::answer(&mut theirs, "agent", None).await.unwrap();
            let mut connection = Connection::server(theirs);
            while let Some(stream) = connection.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        Arc::new(
            AgentConnection::connect(ours, &Token::default())
                .await
                .unwrap(),
        )
    }

    #[tokio::test]
    async fn connections_for_which_there_is_no_place_wait_and_nothing_else_does() {
        let agent = agent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::clone(&agent), 80, MOST));
        let mut clients = Vec::new();
        for _ in 0..4 * MOST {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"x").await.unwrap();
            clients.push(client);
        }
        let is_answered = async |client: &mut TcpStream| client.read(&mut [0]).await.unwrap() == 1;
        for client in clients.iter_mut().take(MOST) {
            assert!(is_answered(client).await);
        }
        // locald's own connections do not need a permit. A waiting client gets
        // the next free one.
        assert!(Call::to(&agent, 80).await.is_some());
        assert!(clients[MOST].try_read(&mut [0]).is_err());
        let mut clients = clients.into_iter();
        clients.by_ref().take(MOST).for_each(drop);
        for mut client in clients {
            assert!(is_answered(&mut client).await);
        }
    }
}
