//! A stand-in for a registry: an HTTP server whose every answer a test
//! decides, down to connections that break within an answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    /// First byte of the wanted range.
    pub(crate) from: Option<usize>,
    pub(crate) body: Vec<u8>,
    /// Requests of the same method and path before this one.
    pub(crate) before: usize,
}

impl Asked {
    /// Method and path, without the query.
    pub(crate) fn line(&self) -> (&str, &str) {
        let path = self.path.split('?').next().unwrap_or_default();
        (&self.method, path)
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection breaks after so many bytes of the body.
    pub(crate) cut: Option<usize>,
    /// It does not break then, but nothing more comes.
    pub(crate) stalls: bool,
    /// What is sent before the answer, piece by piece.
    pub(crate) before: Vec<&'static str>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            cut: None,
            stalls: false,
            before: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn cut(mut self, length: usize) -> Self {
        self.cut = Some(length);
        self
    }

    pub(crate) fn after(mut self, pieces: &[&'static str]) -> Self {
        self.before = pieces.to_vec();
        self
    }

    pub(crate) fn stalled(mut self, length: usize) -> Self {
        self.stalls = true;
        self.cut(length)
    }
}

/// A running stand-in.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl StandIn {
    pub(crate) fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = Arc::clone(&asked);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { address, asked }
    }

    /// `localhost:PORT`
    pub(crate) fn registry(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// All that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request for each connection.
fn serve(stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Answer) {
    let Some(mut asked) = read(&stream) else {
        return;
    };
    {
        let mut log = log.lock().unwrap();
        let same = |it: &&Asked| (&it.method, &it.path) == (&asked.method, &asked.path);
        asked.before = log.iter().filter(same).count();
        log.push(asked.clone());
    }
    let answer = answer(&asked);
    let first = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", answer.status);
    let mut headers = answer.headers.clone();
    if !headers.iter().any(|(name, _)| name == "Content-Length") {
        headers.push(("Content-Length".to_owned(), answer.body.len().to_string()));
    }
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let head = format!("{first}{}\r\n", headers.collect::<Vec<_>>().concat());
    let body = match (asked.method.as_str(), answer.cut) {
        ("HEAD", _) => &[][..],
        (_, Some(length)) => &answer.body[..length],
        (_, None) => &answer.body[..],
    };
    let mut stream = stream;
    // Nagle's algorithm would send the pieces as one.
    let _ = stream.set_nodelay(true);
    for piece in &answer.before {
        let _ = stream.write_all(piece.as_bytes());
    }
    // A client that has heard enough may close first.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
    if answer.stalls {
        // Until the client has had enough.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let mut asked = Asked {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        ..Asked::default()
    };
    let mut length = 0;
    while let Some((name, value)) = line()?.split_once(": ") {
        match name.to_lowercase().as_str() {
            "authorization" => asked.authorization = Some(value.to_owned()),
            "range" => {
                let from = value.strip_prefix("bytes=")?.split('-').next()?;
                asked.from = from.parse().ok();
            }
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    reader.take(length).read_to_end(&mut asked.body).ok()?;
    Some(asked)
}
