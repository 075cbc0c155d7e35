//! A proxy between locald and a real registry that cuts one request off.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The first request with this method whose line has these words.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// `PUT`
    pub method: &'static str,
    /// A part of its path.
    pub path: &'static str,
    /// When its connection breaks.
    pub moment: Moment,
}

/// When a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Within the request.
    Question,
    /// The request is served, and its answer lost.
    Answer,
}

/// Carries connections as long as the test runs.
#[derive(Debug)]
pub struct CuttingProxy {
    address: String,
    is_cut: Arc<AtomicBool>,
}

/// One connection.
struct Line {
    client: TcpStream,
    server: TcpStream,
    cut: Cut,
    /// Shared by all connections: one is cut.
    is_cut: Arc<AtomicBool>,
    loses_answer: AtomicBool,
}

impl CuttingProxy {
    /// Starts it before a registry.
    pub fn start(registry: &str, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let (registry, is_cut) = (registry.to_owned(), Arc::new(AtomicBool::new(false)));
        let shared = Arc::clone(&is_cut);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let line = Arc::new(Line {
                    client,
                    server: TcpStream::connect(&registry).unwrap(),
                    cut,
                    is_cut: Arc::clone(&shared),
                    loses_answer: AtomicBool::new(false),
                });
                let other = Arc::clone(&line);
                // Either end may hang up at any time.
                std::thread::spawn(move || drop(line.questions()));
                std::thread::spawn(move || drop(other.answers()));
            }
        });
        Self { address, is_cut }
    }

    /// `localhost:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the request came, and was cut off.
    pub fn has_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }
}

impl Line {
    fn questions(&self) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = (&self.client).read(&mut buffer)?;
            if count == 0 {
                return self.server.shutdown(Shutdown::Write);
            }
            let bytes = &buffer[..count];
            if self.is_meant(bytes) && !self.is_cut.swap(true, Ordering::SeqCst) {
                if self.cut.moment == Moment::Question {
                    (&self.server).write_all(&bytes[..count / 2])?;
                    return self.hang_up();
                }
                self.loses_answer.store(true, Ordering::SeqCst);
            }
            (&self.server).write_all(bytes)?;
        }
    }

    fn answers(&self) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = (&self.server).read(&mut buffer)?;
            if count == 0 {
                return self.client.shutdown(Shutdown::Both);
            }
            if self.loses_answer.load(Ordering::SeqCst) {
                return self.hang_up();
            }
            (&self.client).write_all(&buffer[..count])?;
        }
    }

    /// A request begins where the bytes of a chunk begin: the one before it has
    /// been answered.
    fn is_meant(&self, bytes: &[u8]) -> bool {
        let line = bytes.split(|byte| *byte == b'\r').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default());
        line.starts_with(self.cut.method) && line.contains(self.cut.path)
    }

    fn hang_up(&self) -> std::io::Result<()> {
        rustix::net::sockopt::set_socket_linger(&self.client, Some(Duration::ZERO))?;
        self.client.shutdown(Shutdown::Both)?;
        self.server.shutdown(Shutdown::Both)
    }
}
