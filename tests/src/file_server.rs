//! A stand-in for a server of files: HTTP/1.1, `GET` only, one request a
//! connection. What it serves is real.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

/// Serves as long as the test runs.
#[derive(Debug)]
pub struct FileServer {
    url: String,
}

impl FileServer {
    /// Serves the first file that there is in any of the directories.
    pub fn start(directories: Vec<PathBuf>) -> Self {
        Self::of(directories, None)
    }

    /// The same, for those who send a value for `Authorization`.
    pub fn private(directories: Vec<PathBuf>, token: &str) -> Self {
        Self::of(directories, Some(token.to_owned()))
    }

    fn of(directories: Vec<PathBuf>, token: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up early is its own affair.
                let _ = answer(stream, &directories, token.as_deref());
            }
        });
        Self { url }
    }

    /// `http://HOST:PORT`
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn answer(
    mut stream: TcpStream,
    directories: &[PathBuf],
    token: Option<&str>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let (mut header, mut admitted) = (String::new(), token.is_none());
    while reader.read_line(&mut header)? > 2 {
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            admitted = token == Some(value.trim());
        }
        header.clear();
    }
    if !admitted {
        return stream.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let path = path.trim_start_matches('/');
    let files = directories.iter().map(|directory| directory.join(path));
    let Some(file) = files.into_iter().find(|file| file.is_file()) else {
        return stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    let mut file = fs_err::File::open(file)?;
    let length = file.metadata()?.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    std::io::copy(&mut file, &mut stream)?;
    Ok(())
}
