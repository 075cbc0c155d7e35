//! Runs `locald ps`, `logs`, `stop` and `restart`. They talk to a running
//! `locald up` of the same project.

use std::io;
use std::time::Duration;

use protocol::{Channel, Failure, FailureKind};

use super::block_on;
use crate::cli::{
    LogsOptions, ProjectOption, PsOptions, ServiceRestartOptions, ServiceStopOptions,
};
use crate::exit_code;
use crate::output::{Answer, Label, Printer};
use crate::platform::home::Home;
use crate::platform::signals::{self, Signals};
use crate::project::Project;
use crate::report::Statuses;
use crate::services::{self, ControlRequest, LogEntry, Reader, RuntimeFolder, RuntimeFolderError};
use crate::settings::nearest;

/// How often `logs --follow` reads the journal.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn ps(options: &PsOptions, printer: &mut Printer) -> Result<u8, Failure> {
    let statuses = match folder(&options.project)?.statuses() {
        // No running `locald up` is a valid answer: no services.
        Err(RuntimeFolderError::Absent) => Statuses::new(),
        statuses => statuses?,
    };
    printer.answer(&Answer::Services(statuses));
    Ok(exit_code::SUCCESS)
}

pub(super) fn stop(options: &ServiceStopOptions, printer: &mut Printer) -> Result<u8, Failure> {
    let folder = folder(&options.project)?;
    let statuses = match folder.statuses() {
        Err(RuntimeFolderError::Absent) if options.services.is_empty() => {
            printer.answer(&Answer::ServicesStopped(Vec::new()));
            return Ok(exit_code::SUCCESS);
        }
        statuses => statuses?,
    };
    let request = ControlRequest::Stop(options.services.clone());
    let names = block_on(async {
        match services::ask(&folder.control(), &request).await {
            // `locald up` has ended meanwhile, as the user wanted.
            Err(_) if options.services.is_empty() && !folder.is_locked()? => {
                Ok(statuses.into_keys().collect())
            }
            answer => told(answer),
        }
    })?;
    printer.answer(&Answer::ServicesStopped(names));
    Ok(exit_code::SUCCESS)
}

pub(super) fn restart(
    options: &ServiceRestartOptions,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let folder = folder(&options.project)?;
    // Fails if `locald up` does not run.
    folder.statuses()?;
    let request = ControlRequest::Restart(options.services.clone());
    let names = block_on(async { told(services::ask(&folder.control(), &request).await) })?;
    printer.answer(&Answer::ServicesRestarted(names));
    Ok(exit_code::SUCCESS)
}

/// Returns the services that the reply of `locald up` names.
fn told(answer: io::Result<services::ControlReply>) -> Result<Vec<String>, Failure> {
    match answer {
        Ok(services::ControlReply::Stopped(names) | services::ControlReply::Restarted(names)) => {
            Ok(names)
        }
        Ok(services::ControlReply::Refused(why)) => Err(Failure::new(FailureKind::Invalid, why)),
        Ok(services::ControlReply::Heard) => Err(Failure::new(
            FailureKind::Internal,
            "`locald up` has answered twice that it has heard",
        )),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let failure = Failure::new(FailureKind::Machine, "`locald up` does not answer");
            Err(failure.with_hint("it may be suspended (Ctrl-Z): `fg` in its terminal resumes it"))
        }
        Err(error) => Err(Failure::from_error(FailureKind::Machine, &error)),
    }
}

pub(super) fn logs(options: &LogsOptions, printer: &mut Printer) -> Result<u8, Failure> {
    let folder = folder(&options.project)?;
    let failed = |error: io::Error| Failure::from_error(FailureKind::Store, &error);
    let reader = Reader::open(&folder.journal()).map_err(failed)?;
    let mut reader = reader.ok_or(RuntimeFolderError::Absent)?;
    let known: Vec<String> = folder.last_statuses()?.into_keys().collect();
    for service in &options.services {
        check(service, &known)?;
    }
    let mut page = Page::new(options.services.clone());
    if !options.follow {
        page.rest(&mut reader, printer).map_err(failed)?;
        return Ok(exit_code::SUCCESS);
    }
    block_on(async {
        let mut signals = Signals::listen().map_err(failed)?;
        loop {
            // Check the lock first, so that the last read includes all output.
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

fn folder(project: &ProjectOption) -> Result<RuntimeFolder, Failure> {
    let home = Home::find()?;
    let project = Project::find(project.folder.as_deref())?;
    Ok(RuntimeFolder::of(
        &home.services,
        &project.identity(&home)?.id,
    ))
}

/// Refuses a service that `locald up` does not run. Before `locald up` has
/// written its services, any name is valid.
fn check(service: &String, known: &[String]) -> Result<(), Failure> {
    if known.is_empty() || known.contains(service) {
        return Ok(());
    }
    let message = format!(
        "`locald up` has no service {service:?}, but {}",
        known.join(", ")
    );
    let failure = Failure::new(FailureKind::Invalid, message);
    Err(match nearest(service, known) {
        Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
        None => failure,
    })
}

/// Prints the lines of a journal.
struct Page {
    /// The services to show. Empty means all.
    only: Vec<String>,
    /// Services in the order of their first line. The order decides on colours.
    names: Vec<String>,
}

impl Page {
    const fn new(only: Vec<String>) -> Self {
        let names = Vec::new();
        Self { only, names }
    }

    /// Prints all lines that the journal has now.
    fn rest(&mut self, reader: &mut Reader, printer: &mut Printer) -> io::Result<()> {
        while let Some(entry) = reader.next()? {
            self.show(&entry, printer);
        }
        Ok(())
    }

    fn show(&mut self, entry: &LogEntry, printer: &mut Printer) {
        let channel = match entry.stream.as_str() {
            "stderr" => Channel::Stderr,
            _ => Channel::Stdout,
        };
        if !self.only.is_empty() && !self.only.contains(&entry.service) {
            return;
        }
        // A label is not needed for a single service.
        if self.only.len() == 1 {
            return printer.service_line(None, channel, &entry.line);
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
