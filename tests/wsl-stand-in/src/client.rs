//! `wsl.exe`: everything is the server's to know.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitCode;

use crate::frame::{self, Kind};
use crate::{FAULT, OLD, SERVER};

pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(code) => end(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "wsl stand-in: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::exit, reason = "exit codes of Windows have 32 bits")]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

fn serve() -> io::Result<i32> {
    let address = std::env::var(SERVER).map_err(|_| io::Error::other(format!("no {SERVER}")))?;
    let mut server = TcpStream::connect(address)?;
    server.set_nodelay(true)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for argument in &arguments {
        frame::write(&mut server, Kind::Argument, argument.as_bytes())?;
    }
    let utf8 = std::env::var("WSL_UTF8").as_deref() == Ok("1");
    if utf8 && std::env::var_os(OLD).is_none() {
        frame::write(&mut server, Kind::Utf8, b"")?;
    }
    if let Ok(fault) = std::env::var(FAULT) {
        frame::write(&mut server, Kind::Fault, fault.as_bytes())?;
    }
    if let Some(file) = named_file(&arguments) {
        match fs::read(file) {
            Ok(bytes) => frame::write(&mut server, Kind::File, &bytes)?,
            Err(_) => frame::write(&mut server, Kind::Missing, b"")?,
        }
    }
    frame::write(&mut server, Kind::Begin, b"")?;
    let input = server.try_clone()?;
    std::thread::spawn(move || feed(input));
    listen(&mut server)
}

/// The file that a command reads.
fn named_file(arguments: &[String]) -> Option<&String> {
    match arguments.first()?.as_str() {
        "--import" => arguments.get(3),
        "--import-in-place" => arguments.get(2),
        _ => None,
    }
}

/// A path of Wine's root, where a test calls this program on Linux.
fn here(path: &str) -> String {
    match path.strip_prefix("Z:") {
        Some(path) if cfg!(unix) => path.replace('\\', "/"),
        _ => path.to_owned(),
    }
}

fn feed(mut server: TcpStream) {
    let mut stdin = io::stdin().lock();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let sent = match stdin.read(&mut buffer) {
            Ok(count) if count > 0 => frame::write(&mut server, Kind::Input, &buffer[..count]),
            _ => {
                let _ = frame::write(&mut server, Kind::InputEnd, b"");
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn listen(server: &mut TcpStream) -> io::Result<i32> {
    let mut stdout = io::stdout().lock();
    loop {
        let (kind, bytes) = frame::read(server)?;
        match kind {
            Kind::Output => {
                stdout.write_all(&bytes)?;
                stdout.flush()?;
            }
            Kind::Error => {
                // Wine's NUL refuses what is written to it.
                let _ = io::stderr().write_all(&bytes);
            }
            Kind::Write => {
                let text = String::from_utf8_lossy(&bytes);
                if let Some((path, content)) = text.split_once('\0') {
                    fs::write(here(path), content)?;
                }
            }
            Kind::Remove => {
                // As WSL, which does not mind either.
                let _ = fs::remove_file(here(&String::from_utf8_lossy(&bytes)));
            }
            Kind::Exit => {
                let code = bytes.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
                return Ok(i32::from_le_bytes(code));
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
