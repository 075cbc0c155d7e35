//! A connected agent, and what its requests need of this side.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::input::Credential;
use protocol::request::RegistryAccess;
use protocol::{Failure, Request};

use crate::connection::agent::Agent;
use crate::connection::request_stream::Conversation;
use crate::credential::helper_process::Outside;
use crate::credential::{AccountKey, Credentials, RegistryKey};
use crate::machine::Machine;
use crate::output::Printer;
use crate::platform::descriptors;
use crate::platform::home::Home;
use crate::platform::job;
use crate::settings::MachineKind;
use crate::settings::{self, Settings};

/// Everything that must be done while the process has one thread.
#[derive(Debug)]
pub(crate) struct Setup {
    /// What the command line and the settings name.
    pub(crate) machine: Machine,
    accounts: Accounts,
    access: RegistryAccess,
}

/// Who may be told which account.
#[derive(Debug)]
pub(crate) struct Accounts {
    credentials: Credentials,
    outside: Outside,
    redirected: BTreeSet<RegistryKey>,
    configuration: String,
}

/// A connected agent.
#[derive(Debug)]
pub(crate) struct Client {
    /// What is asked.
    pub(crate) agent: Arc<Agent>,
    accounts: Accounts,
    /// Whether ports that open there do not open here.
    pub(crate) is_elsewhere: bool,
    /// How registries are reached.
    pub(crate) access: RegistryAccess,
}

impl Setup {
    /// Reads accounts and enters the agent's namespaces where the agent is in
    /// this process. Must be called before the process has a second thread.
    pub(crate) fn new(
        home: &Home,
        settings: &Settings,
        machine: Option<&MachineKind>,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        let machine = Machine::choose(machine, settings.machine(), home)?;
        let registries = settings.registries()?;
        let (credentials, errors) = Credentials::load(home);
        for error in errors {
            let failure = Failure::from(error);
            let text = [vec![failure.message], failure.causes].concat().join(": ");
            printer.warning(&text, Some("its accounts are not used"));
        }
        let outside = if credentials.name_helpers() {
            Outside::start().unwrap_or_default()
        } else {
            Outside::default()
        };
        machine.prepare()?;
        Ok(Self {
            machine,
            accounts: Accounts {
                credentials,
                outside,
                redirected: registries.redirected.clone(),
                configuration: home.configuration.display().to_string(),
            },
            access: settings::access(&registries),
        })
    }

    /// Reaches the agent.
    pub(crate) async fn connect(self, printer: &mut Printer) -> Result<Client, Failure> {
        job::follow(printer.live_lines());
        let agent = Arc::new(self.machine.connect(printer).await?);
        // What a machine has started keeps the usual limit.
        descriptors::raise();
        Ok(Client {
            agent,
            is_elsewhere: self.machine.is_elsewhere(),
            accounts: self.accounts,
            access: self.access,
        })
    }
}

impl Client {
    /// Starts a request and a conversation about it.
    pub(crate) async fn request<'a>(
        &'a self,
        request: &Request,
        printer: &'a mut Printer,
    ) -> Result<Conversation<'a>, Failure> {
        let exchange = self.agent.request(request).await?;
        Ok(Conversation::new(exchange, &self.accounts, printer))
    }
}

impl Accounts {
    /// The account of a repository, if there is one and it may be used.
    pub(crate) async fn find(&self, repository: &str, printer: &mut Printer) -> Option<Credential> {
        let key = AccountKey::new(repository);
        let registry = key.registry.as_str();
        let found = self.credentials.find(&key, &self.outside).await;
        let credential = found.unwrap_or_else(|error| {
            let failure = Failure::from(error);
            let text = [vec![failure.message], failure.causes].concat().join(": ");
            let hint = format!("{registry} is asked without an account");
            printer.warning(&text, Some(&hint));
            None
        });
        if credential.is_some() && self.redirected.contains(&key.registry) {
            let text = format!(
                "the account of {registry} is not used: the project's locald.toml says how {registry} is reached"
            );
            let hint = format!("to use it, move the table into {}", self.configuration);
            printer.warning(&text, Some(&hint));
            return None;
        }
        credential
    }
}
