//! Describes the process of a service, and makes its request.

use std::path::PathBuf;

use protocol::input::Signal;
use protocol::request::{EnvVar, ProcessProxies, RunRequest, Stdio};
use protocol::{Failure, Request};

use super::procfile;
use crate::connection::session::Session;
use crate::platform::terminal;
use crate::settings::HealthCheck;

/// Everything that is needed to run a service.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The service's name.
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) program: ServiceProgram,
    pub(crate) env: Vec<EnvVar>,
    pub(crate) proxies: ProcessProxies,
    pub(crate) port: Option<u16>,
    pub(crate) health: HealthCheck,
    pub(crate) depends_on: Vec<String>,
    /// Absent means the signal that the image names.
    pub(crate) stop_signal: Option<Signal>,
    pub(crate) stdio: Stdio,
}

/// The program of a service.
#[derive(Debug, Clone)]
pub(crate) enum ServiceProgram {
    /// A process type, or else the default one, with arguments.
    Process {
        process: Option<String>,
        args: Vec<String>,
    },
    /// A command.
    Command(Vec<String>),
    /// The command of the first of these process types in the folder's
    /// Procfile, read at each start. Without one, the image's default process.
    Procfile { folder: PathBuf, names: Vec<String> },
}

impl Launch {
    /// Makes the request that runs the service's process.
    pub(super) fn run(&self, session: &Session) -> Result<Request, Failure> {
        let (process, args, direct) = match &self.program {
            ServiceProgram::Process { process, args } => (process.clone(), args.clone(), false),
            ServiceProgram::Command(words) => (None, words.clone(), true),
            ServiceProgram::Procfile { folder, names } => {
                let line = procfile::read(folder, names)?;
                let words = line.map(|line| ["sh", "-c", &line].map(str::to_owned).to_vec());
                (None, words.clone().unwrap_or_default(), words.is_some())
            }
        };
        Ok(self.request(process, args, direct, self.stdio, session))
    }

    /// Makes the request that runs a command in the service's environment.
    pub(super) fn beside(&self, command: Vec<String>, session: &Session) -> Request {
        self.request(None, command, true, Stdio::Pipes, session)
    }

    fn request(
        &self,
        process: Option<String>,
        args: Vec<String>,
        direct: bool,
        stdio: Stdio,
        session: &Session,
    ) -> Request {
        Request::Run(RunRequest {
            image: self.image.clone(),
            process,
            args,
            direct,
            env: self.env.clone(),
            stdio,
            access: session.access.clone(),
            terminal: terminal::description(stdio),
            proxies: self.proxies,
        })
    }
}
