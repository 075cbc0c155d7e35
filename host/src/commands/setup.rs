//! Prepares a connection. It selects the machine, loads the accounts, enters
//! the agent's namespaces, and connects.

use std::sync::Arc;

use protocol::Failure;
use protocol::request::RegistryAccess;

use super::job;
use crate::connection::accounts::Accounts;
use crate::connection::session::Session;
use crate::credential::Credentials;
use crate::credential::helper_process::HelperProcess;
use crate::machine::{self, Machine};
use crate::output::Printer;
use crate::platform::descriptors;
use crate::platform::home::Home;
use crate::settings::{self, MachineKind, Settings};

/// Everything that must happen while the process has one thread.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The machine that the command line or the settings name.
    pub(crate) machine: Box<dyn Machine>,
    accounts: Accounts,
    access: RegistryAccess,
}

impl Setup {
    /// Reads the accounts. Enters the agent's namespaces if the agent works in
    /// this process. Call it while the process has one thread.
    pub(crate) fn new(
        home: &Home,
        settings: &Settings,
        machine: Option<&MachineKind>,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        let machine = machine::choose(machine, settings.machine(), home)?;
        let registries = settings.registries()?;
        let (credentials, errors) = Credentials::load(home);
        for error in errors {
            let failure = Failure::from(error);
            let text = [vec![failure.message], failure.causes].concat().join(": ");
            printer.warning(&text, Some("its accounts are not used"));
        }
        let helpers = if credentials.name_helpers() {
            HelperProcess::start().unwrap_or_default()
        } else {
            HelperProcess::default()
        };
        machine.prepare()?;
        Ok(Self {
            machine,
            accounts: Accounts {
                credentials,
                helpers,
                redirected: registries.redirected.clone(),
                configuration: home.configuration.display().to_string(),
            },
            access: settings::access(&registries),
        })
    }

    /// Connects with the agent.
    pub(crate) async fn connect(self, printer: &mut Printer) -> Result<Session, Failure> {
        job::follow(printer.live_lines());
        let agent = Arc::new(self.machine.connect(printer).await?);
        // Raise the limit after the machine has started: its processes keep the
        // usual one.
        descriptors::raise();
        Ok(Session {
            agent,
            is_remote: self.machine.is_remote(),
            accounts: self.accounts,
            access: self.access,
        })
    }
}
