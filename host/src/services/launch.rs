//! Describes the process of a service, and makes its request.

use std::path::PathBuf;

use protocol::input::Signal;
use protocol::request::{EnvVar, ProcessProxies, RunRequest, Stdio};
use protocol::{Failure, Request};

use super::procfile;
use crate::connection::session::Session;
use crate::platform::terminal;
use crate::settings::HealthCheck;

/// One service, as far as running it goes.
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
    /// Absent: the one that the image names.
    pub(crate) stop_signal: Option<Signal>,
    pub(crate) stdio: Stdio,
}

/// What of the image is started.
#[derive(Debug, Clone)]
pub(crate) enum ServiceProgram {
    /// A process type, or else the default one, with arguments.
    Process {
        process: Option<String>,
        args: Vec<String>,
    },
    /// A command.
    Command(Vec<String>),
    /// What the Procfile of a folder has, when the service starts, under the
    /// first of these names; else the default process.
    Procfile { folder: PathBuf, names: Vec<String> },
}

impl Launch {
    /// Asks for its process.
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

    /// Asks for a command in its environment.
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
