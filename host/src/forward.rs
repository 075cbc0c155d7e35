//! TCP ports of a machine elsewhere, on this system's loopback address.

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

use crate::agent::{Agent, AgentError, Exchange, Message};

/// Bytes that are passed on at a time.
const BUFFER: usize = 64 * 1024;
/// Connections to one port at a time: a program that answers none of them
/// leaves places for other ports.
const AT_A_PORT: usize = 512;
/// Of those, so many may wait at a time for the program to accept them.
const DIALING: usize = 16;
/// After the system could not accept a connection, until the next attempt.
const PAUSE: Duration = Duration::from_millis(100);

/// The ports that are forwarded; they close when this is dropped.
#[derive(Debug)]
pub(crate) struct Forwards {
    agent: Arc<Agent>,
    open: HashMap<u16, JoinHandle<()>>,
}

impl Forwards {
    pub(crate) fn new(agent: &Arc<Agent>) -> Self {
        Self {
            agent: Arc::clone(agent),
            open: HashMap::new(),
        }
    }

    /// Opens a port of the machine here; returns the port that it has got,
    /// which is another one where its own is taken.
    pub(crate) async fn open(&mut self, port: u16) -> io::Result<u16> {
        let listener = match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::debug!(port, %error, "another port is taken");
                TcpListener::bind(("127.0.0.1", 0)).await?
            }
        };
        let own = listener.local_addr()?.port();
        let serving = tokio::spawn(serve(listener, Arc::clone(&self.agent), port));
        if let Some(old) = self.open.insert(port, serving) {
            old.abort();
        }
        Ok(own)
    }

    /// Nobody listens there any more.
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

/// What is said of a port of the machine that was opened here.
pub(crate) fn opened(port: u16, here: io::Result<u16>) -> String {
    match here {
        Ok(own) if own == port => format!("Port {port} is at http://localhost:{port}"),
        Ok(own) => format!("Port {port} is at http://localhost:{own}, as {port} is taken here"),
        Err(error) => format!("Port {port} cannot be forwarded: {error}"),
    }
}

/// Passes connections on. Where there is no place for one more, those that
/// have come wait, and later ones wait in the system's queue.
async fn serve(listener: TcpListener, agent: Arc<Agent>, port: u16) {
    let dialing = Arc::new(Semaphore::new(DIALING));
    let here = Arc::new(Semaphore::new(AT_A_PORT));
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

/// The next connection. A system that has no descriptor or memory left for it
/// may have some later.
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

/// A connection to a port of the machine, for locald itself. It ends when this
/// is dropped.
#[derive(Debug)]
pub(crate) struct Call {
    /// The bytes of both sides.
    pub(crate) stream: DuplexStream,
    _carrying: JoinSet<Result<(), AgentError>>,
}

impl Call {
    /// Nothing when nobody listens there.
    pub(crate) async fn to(agent: &Agent, port: u16) -> Option<Self> {
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

/// One connection, until both sides have ended it.
async fn pass_on(
    stream: TcpStream,
    agent: &Agent,
    port: u16,
    dialing: &Semaphore,
) -> Result<(), AgentError> {
    // What is small is not to wait for more.
    let _ = stream.set_nodelay(true);
    let place = dialing.acquire().await;
    let dialed = dial(agent, port).await;
    drop(place);
    match dialed? {
        Some(exchange) => carry(stream, exchange).await,
        // Nobody listens: the connection ends here, too.
        None => Ok(()),
    }
}

async fn dial(agent: &Agent, port: u16) -> Result<Option<Exchange>, AgentError> {
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
        sender.input(&Input::StdinClosed).await
    };
    let back = async {
        loop {
            match receiver.next().await? {
                // A reader that has gone is no fault of the program's.
                Message::Data(_, bytes) => {
                    let _ = writer.write_all(&bytes).await;
                }
                // The program has said all.
                Message::Event(_) => {
                    let _ = writer.shutdown().await;
                }
                Message::Outcome(_) => return Ok(()),
            }
        }
    };
    tokio::try_join!(there, back).map(drop)
}
