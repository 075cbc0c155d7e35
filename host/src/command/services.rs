//! `locald ps`, `locald logs` and `locald stop`: what concerns a running
//! `locald up` from outside.

use std::io;
use std::time::Duration;

use protocol::{Channel, Failure, FailureKind};

use super::block_on;
use crate::cli::{LogsOptions, ProjectOption, PsOptions, ServiceStopOptions};
use crate::exit_code;
use crate::home::Home;
use crate::printer::{Answer, Label, Printer};
use crate::project::Project;
use crate::signals::{self, Signals};
use crate::up::{self, Entry, Folder, FolderError, Reader, StopAnswer};

/// How often a journal is looked at for more.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn ps(options: &PsOptions, printer: &mut Printer) -> Result<u8, Failure> {
    let statuses = folder(&options.project)?.statuses()?;
    printer.answer(&Answer::Services(statuses));
    Ok(exit_code::SUCCESS)
}

pub(super) fn stop(options: &ServiceStopOptions, printer: &mut Printer) -> Result<u8, Failure> {
    let folder = folder(&options.project)?;
    let statuses = folder.statuses()?;
    let service = options.service.as_deref();
    let names = block_on(async {
        let asked = up::ask(&folder.control(), service).await;
        match asked {
            Ok(StopAnswer::Stopped(names)) => Ok(names),
            Ok(StopAnswer::Refused(why)) => Err(Failure::new(FailureKind::Invalid, why)),
            // It ended in this moment, and that is what was wanted.
            Err(_) if service.is_none() && !folder.is_locked()? => {
                Ok(statuses.into_keys().collect())
            }
            Err(error) => Err(Failure::from_error(FailureKind::Machine, &error)),
        }
    })?;
    printer.answer(&Answer::ServicesStopped(names));
    Ok(exit_code::SUCCESS)
}

pub(super) fn logs(options: &LogsOptions, printer: &mut Printer) -> Result<u8, Failure> {
    let folder = folder(&options.project)?;
    let failed = |error: io::Error| Failure::from_error(FailureKind::Store, &error);
    let reader = Reader::open(&folder.journal()).map_err(failed)?;
    let mut reader = reader.ok_or(FolderError::Absent)?;
    let mut page = Page::new(options.service.clone());
    if !options.follow {
        page.rest(&mut reader, printer).map_err(failed)?;
        return Ok(exit_code::SUCCESS);
    }
    block_on(async {
        let mut signals = Signals::listen().map_err(failed)?;
        loop {
            // Asked first: what was written before the end is still read.
            let goes_on = folder.is_locked()?;
            page.rest(&mut reader, printer).map_err(failed)?;
            if !goes_on {
                return Ok(exit_code::SUCCESS);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                code = signals::end(&mut signals) => return Ok(code),
            }
        }
    })
}

fn folder(project: &ProjectOption) -> Result<Folder, Failure> {
    let home = Home::find()?;
    let project = Project::find(project.folder.as_deref())?;
    Ok(Folder::of(&home.services, &project.identity(&home)?.id))
}

/// Shows lines of a journal.
struct Page {
    only: Option<String>,
    /// Services in the order in which they first wrote.
    names: Vec<String>,
}

impl Page {
    const fn new(only: Option<String>) -> Self {
        let names = Vec::new();
        Self { only, names }
    }

    /// All that is there to be read.
    fn rest(&mut self, reader: &mut Reader, printer: &mut Printer) -> io::Result<()> {
        while let Some(entry) = reader.next()? {
            self.show(&entry, printer);
        }
        Ok(())
    }

    fn show(&mut self, entry: &Entry, printer: &mut Printer) {
        let channel = match entry.stream.as_str() {
            "stderr" => Channel::Stderr,
            _ => Channel::Stdout,
        };
        if let Some(only) = &self.only {
            if *only == entry.service {
                printer.service_line(None, channel, &entry.line);
            }
            return;
        }
        let known = self.names.iter().position(|name| *name == entry.service);
        let number = known.unwrap_or_else(|| {
            self.names.push(entry.service.clone());
            self.names.len() - 1
        });
        let label = Label {
            name: entry.service.clone(),
            width: self.names.iter().map(String::len).max().unwrap_or_default(),
            number,
        };
        printer.service_line(Some(&label), channel, &entry.line);
    }
}
