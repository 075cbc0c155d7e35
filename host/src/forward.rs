//! TCP ports of a machine elsewhere, on this system's loopback address.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use protocol::{Channel, Event, Input, Request};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::agent::{Agent, AgentError, Exchange, Message};

/// Bytes that are passed on at a time.
const BUFFER: usize = 64 * 1024;

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

async fn serve(listener: TcpListener, agent: Arc<Agent>, port: u16) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(port, %error, "accept");
                return;
            }
        };
        let agent = Arc::clone(&agent);
        connections.spawn(async move {
            if let Err(error) = pass_on(stream, &agent, port).await {
                tracing::debug!(port, %peer, %error, "forwarded connection");
            }
        });
        while connections.try_join_next().is_some() {}
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
async fn pass_on(stream: TcpStream, agent: &Agent, port: u16) -> Result<(), AgentError> {
    // What is small is not to wait for more.
    let _ = stream.set_nodelay(true);
    match dial(agent, port).await? {
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
