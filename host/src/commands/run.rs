//! Runs `locald run`.

mod watch;

use std::path::Path;

use protocol::request::{EnvVar, ProcessProxies, RunRequest};
use protocol::{Failure, FailureKind, Request};

use super::build::{self, BuildEnd, PreparedBuild};
use super::{Start, announce, block_on};
use crate::cli::{BuildOptions, RunOptions};
use crate::connection::attach::attach;
use crate::output::Printer;
use crate::platform::terminal;
use crate::project::{Project, is_archive};
use crate::settings::EnvArgument;
use crate::settings::MachineKind;

pub(super) fn run(
    options: RunOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    refuse_json(printer)?;
    if options.watch {
        return watch::run(options, machine, printer);
    }
    let env = variables(&options.env)?;
    let (start, prepared) = match folder(options.target.as_deref()) {
        Some(folder) => {
            let project = Project::find_source(options.target.as_ref().map(|_| folder))?;
            announce(&project, printer);
            let start = Start::of_build(&project, None, machine, printer)?;
            let flags = BuildOptions::of(Some(project.folder.clone()), options.builder.clone());
            let prepared =
                PreparedBuild::new(&project, &start.home, &start.settings, &flags, printer)?;
            (start, Some(prepared))
        }
        None => (Start::here(machine, printer)?, None),
    };
    let stdio = terminal::stdio();
    block_on(async {
        let client = start.setup.connect(printer).await?;
        let image = match prepared {
            None => options.target.unwrap_or_default(),
            Some(prepared) => {
                let name = prepared.name().to_owned();
                match build::build(prepared, &client, printer).await? {
                    BuildEnd::Stopped(code) => return Ok(code),
                    BuildEnd::Built(built) if built.up_to_date => {}
                    BuildEnd::Built(_) => printer.note(&format!("Built {name}")),
                }
                name
            }
        };
        let request = Request::Run(RunRequest {
            image,
            process: options.process,
            args: options.args,
            direct: options.command,
            env,
            stdio,
            access: client.access.clone(),
            terminal: terminal::description(stdio),
            proxies: proxies(options.proxy),
        });
        attach(client.request(&request, printer).await?, stdio, &client).await
    })
}

/// Returns the path if the target is a folder or an archive, or is spelled like
/// a path.
fn folder(target: Option<&str>) -> Option<&Path> {
    let Some(target) = target else {
        return Some(Path::new("."));
    };
    let path = Path::new(target);
    let spelled = path.is_absolute() || path.starts_with(".") || path.starts_with("..");
    (spelled || path.is_dir() || is_archive(path)).then_some(path)
}

fn proxies(wanted: bool) -> ProcessProxies {
    if wanted {
        ProcessProxies::Machine
    } else {
        ProcessProxies::Image
    }
}

/// Resolves the variables, and leaves out those without a value.
pub(super) fn variables(arguments: &[EnvArgument]) -> Result<Vec<EnvVar>, Failure> {
    let mut variables = Vec::new();
    for argument in arguments {
        variables.extend(argument.resolve()?);
    }
    Ok(variables)
}

/// Refuses `--json`: the process owns standard output.
pub(super) fn refuse_json(printer: &Printer) -> Result<(), Failure> {
    if printer.is_for_programs() {
        let message = "--json does not work here: standard output belongs to the process";
        return Err(Failure::new(FailureKind::Invalid, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_images_are_told_apart() {
        for text in [".", "./shop", "../shop", "/tmp", "src"] {
            assert_eq!(folder(Some(text)), Some(Path::new(text)));
        }
        for text in ["shop", "shop:1.2", "ghcr.io/me/shop"] {
            assert_eq!(folder(Some(text)), None);
        }
        assert_eq!(folder(None), Some(Path::new(".")));
    }
}
