//! Checks whether a service is healthy, through the agent.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use protocol::{Failure, Reply};

use super::launch::Launch;
use crate::connection::forward::Call;
use crate::connection::request_stream::Incoming;
use crate::connection::session::Session;
use crate::output::Printer;
use crate::settings::Probe;

/// The time limit of one probe.
const LOOK: Duration = Duration::from_secs(5);

/// The result of a probe. The error says why it failed.
type Found = Result<(), String>;

/// Waits until the service is healthy. The error is the result of the last
/// probe.
pub(super) async fn wait(launch: &Launch, session: &Session, printer: &mut Printer) -> Found {
    let mut last = "it was not looked at".to_owned();
    let looking = async {
        loop {
            let look = tokio::time::timeout(LOOK, look(launch, session, printer));
            match look.await.unwrap_or_else(|_| Err("no answer".to_owned())) {
                Ok(()) => return,
                Err(found) => last = found,
            }
            tokio::time::sleep(launch.health.interval).await;
        }
    };
    match tokio::time::timeout(launch.health.timeout, looking).await {
        Ok(()) => Ok(()),
        Err(_) => Err(last),
    }
}

async fn look(launch: &Launch, session: &Session, printer: &mut Printer) -> Found {
    match &launch.health.probe {
        Probe::Started => Ok(()),
        Probe::Tcp { port } if is_open(session, *port).await => Ok(()),
        Probe::Tcp { port } => Err(format!("no program listens on port {port}")),
        Probe::Http { port, path } => http(session, *port, path).await,
        Probe::Command(command) => {
            let request = launch.beside(command.words(), session);
            match ended(session, &request, printer).await {
                Ok(0) => Ok(()),
                Ok(code) => Err(format!("the command ended with {code}")),
                Err(failure) => Err(failure.message),
            }
        }
    }
}

/// Whether a program listens on a port of the machine.
pub(super) async fn is_open(session: &Session, port: u16) -> bool {
    Call::to(&session.agent, port).await.is_some()
}

async fn http(session: &Session, port: u16, path: &str) -> Found {
    let call = Call::to(&session.agent, port).await;
    let mut call = call.ok_or_else(|| format!("no program listens on port {port}"))?;
    let told = |error: hyper::Error| format!("no HTTP on port {port}: {error}");
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(&mut call.stream));
    let (mut sender, connection) = handshake.await.map_err(told)?;
    let request = Request::get(path)
        .header(header::HOST, format!("localhost:{port}"))
        .header(header::USER_AGENT, "locald")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("{path}: {error}"))?;
    // The connection's task must run while the request is sent. It ends with
    // this probe.
    let response = tokio::select! {
        response = sender.send_request(request) => response.map_err(told)?,
        ended = connection => return Err(match ended {
            Ok(()) => format!("port {port} closes the connection"),
            Err(error) => told(error),
        }),
    };
    let status = response.status();
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    Err(format!("{path} answers {status}"))
}

/// Runs a command without its output until it ends.
async fn ended(
    session: &Session,
    request: &protocol::Request,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let mut stream = session.request(request, printer).await?;
    let sender = stream.sender();
    loop {
        match stream.next().await? {
            Incoming::Event(protocol::Event::Started) => {
                sender.input(protocol::Input::StdinClosed).await;
            }
            Incoming::Reply(Reply::Exited { code }) => return Ok(code),
            _ => {}
        }
    }
}
