//! The command lines that are understood, and what they do to distributions.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::sync::Arc;

use super::words::Refusal;
use super::{Call, Distribution, Service, execution};
use crate::frame::{self, Kind};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    List { running: bool },
    Version,
    Status,
    Import { name: String, place: String },
    ImportInPlace { name: String, file: String },
    Terminate(String),
    Unregister(String),
    Resize { name: String },
    Execute { name: String, program: Vec<String> },
}

impl Command {
    pub(super) fn parse(words: &[&str]) -> Option<Self> {
        let owned = |text: &&str| (*text).to_owned();
        Some(match words {
            ["--list", "--quiet"] => Self::List { running: false },
            ["--list", "--quiet", "--running"] => Self::List { running: true },
            ["--version"] => Self::Version,
            ["--status"] => Self::Status,
            ["--import", name, place, _, "--version", "2"] => Self::Import {
                name: owned(name),
                place: owned(place),
            },
            ["--import-in-place", name, file] => Self::ImportInPlace {
                name: owned(name),
                file: owned(file),
            },
            ["--terminate", name] => Self::Terminate(owned(name)),
            ["--unregister", name] => Self::Unregister(owned(name)),
            ["--manage", name, "--resize", size] if size.ends_with("MB") => {
                Self::Resize { name: owned(name) }
            }
            [
                "-d",
                name,
                "-u",
                "root",
                "--cd",
                "/",
                "--exec",
                program @ ..,
            ] => Self::Execute {
                name: owned(name),
                program: program.iter().map(owned).collect(),
            },
            _ => return None,
        })
    }
}

pub(super) fn serve(service: &Arc<Service>, mut call: Call) -> io::Result<()> {
    let Some(command) = call.command() else {
        let refusal = Refusal::new("Invalid command line argument.", "Wsl/E_INVALIDARG");
        return call.refuse(&refusal);
    };
    let done = match command {
        Command::Execute { name, program } => {
            return execution::execute(service, call, &name, &program);
        }
        Command::List { running } => {
            let names = list(service, running);
            call.say(&names)?;
            // As the real one, when nothing runs.
            let code = if running && names.is_empty() { -1 } else { 0 };
            return call.exit(code);
        }
        Command::Version => {
            call.say("WSL version: 2.9.4.0 (stand-in)\n")?;
            return call.exit(0);
        }
        Command::Status => {
            call.say("Default Version: 2\n")?;
            return call.exit(0);
        }
        Command::Import { name, place } => import(service, &mut call, &name, &place)?,
        Command::ImportInPlace { name, file } => in_place(service, &call, &name, file),
        Command::Terminate(name) => change(service, &name, |it| {
            it.end();
            Ok(())
        }),
        Command::Unregister(name) => unregister(service, &mut call, &name)?,
        Command::Resize { name } => change(service, &name, |it| {
            if it.is_running() {
                let message = "The process cannot access the file.";
                return Err(Refusal::new(message, "Wsl/Service/ERROR_SHARING_VIOLATION"));
            }
            Ok(())
        }),
    };
    match done {
        Ok(()) => call.done(),
        Err(refusal) => call.refuse(&refusal),
    }
}

type Done = Result<(), Refusal>;

fn list(service: &Service, running: bool) -> String {
    let distributions = service.distributions();
    let shown = distributions
        .iter()
        .filter(|(_, it)| !running || it.is_running());
    shown.flat_map(|(name, _)| [name, "\n"]).collect()
}

fn change(service: &Service, name: &str, change: impl FnOnce(&mut Distribution) -> Done) -> Done {
    let mut distributions = service.distributions();
    let distribution = distributions.get_mut(name);
    change(distribution.ok_or_else(Refusal::not_found)?)
}

fn exists() -> Refusal {
    let message = "A distribution with the supplied name already exists.";
    Refusal::new(message, "Wsl/Service/RegisterDistro/ERROR_ALREADY_EXISTS")
}

fn import(service: &Service, call: &mut Call, name: &str, place: &str) -> io::Result<Done> {
    if let Some(fault) = &call.fault {
        return Ok(Err(Refusal::fault(fault)));
    }
    let mut distributions = service.distributions();
    if distributions.contains_key(name) {
        return Ok(Err(exists()));
    }
    let Some(archive) = call.file.take() else {
        let message = "The system cannot find the file specified.";
        return Ok(Err(Refusal::new(message, "Wsl/ERROR_FILE_NOT_FOUND")));
    };
    let number = (0_u32..).map(|number| number.to_string());
    let mut free = number.filter(|number| !service.disk(number).exists());
    let number = free.next().unwrap_or_default();
    let root = service.disk(&number);
    fs::create_dir_all(&root)?;
    if !unpack(&archive, &root)? {
        fs::remove_dir_all(root)?;
        let message = "Importing the distribution failed.";
        return Ok(Err(Refusal::new(
            message,
            "Wsl/Service/RegisterDistro/E_FAIL",
        )));
    }
    let separator = if place.starts_with('/') { '/' } else { '\\' };
    let file = format!("{place}{separator}ext4.vhdx");
    let content = format!("{file}\0{number}");
    frame::write(&mut call.client, Kind::Write, content.as_bytes())?;
    distributions.insert(name.to_owned(), Distribution::new(number, file, root));
    Ok(Ok(()))
}

fn unpack(archive: &[u8], root: &Path) -> io::Result<bool> {
    let mut tar = Program::new("tar")
        .args([
            "--extract",
            "--gzip",
            "--numeric-owner",
            "--same-permissions",
            "--directory",
        ])
        .arg(root)
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = tar.stdin.take() {
        // What tar does not like, its exit code says.
        let _ = stdin.write_all(archive);
    }
    Ok(tar.wait()?.success())
}

fn in_place(service: &Service, call: &Call, name: &str, file: String) -> Done {
    let mut distributions = service.distributions();
    if distributions.contains_key(name) {
        return Err(exists());
    }
    let number = call.file.as_deref().map(String::from_utf8_lossy);
    let number = number.unwrap_or_default().into_owned();
    let root = service.disk(&number);
    if number.is_empty() || !root.is_dir() {
        let message = "The disk is corrupted.";
        return Err(Refusal::new(message, "Wsl/Service/WSL_E_DISK_CORRUPTED"));
    }
    distributions.insert(name.to_owned(), Distribution::new(number, file, root));
    Ok(())
}

fn unregister(service: &Service, call: &mut Call, name: &str) -> io::Result<Done> {
    let Some(mut distribution) = service.distributions().remove(name) else {
        return Ok(Err(Refusal::not_found()));
    };
    distribution.end();
    fs::remove_dir_all(service.disk(&distribution.disk))?;
    frame::write(
        &mut call.client,
        Kind::Remove,
        distribution.place.as_bytes(),
    )?;
    Ok(Ok(()))
}
