//! Reports the state changes of a service.

use std::time::Duration;

use protocol::{Failure, FailureKind};

use super::supervisor::{OnExit, Supervisor};
use crate::output::duration;
use crate::report::ServiceState;
use crate::settings::Probe;

impl Supervisor {
    pub(super) async fn healthy(&mut self, time: Duration) {
        let name = &self.launch.name;
        let time = duration(time);
        let place = match self.launch.port {
            Some(port) if !self.session.is_remote => format!(" at http://localhost:{port}"),
            _ => String::new(),
        };
        let text = match (self.on_exit, &self.launch.health.probe) {
            (OnExit::Wait, _) => return self.status_table.set(name, ServiceState::Healthy),
            (OnExit::Restart, Probe::Started) => format!("{name} has started"),
            (OnExit::Restart, _) => format!("{name} is up{place} ({time})"),
        };
        self.tell(ServiceState::Healthy, &text).await;
    }

    pub(super) fn unhealthy(&mut self, last: &str) {
        let name = &self.launch.name;
        let time = duration(self.launch.health.timeout);
        let failure = Failure::new(
            FailureKind::Invalid,
            format!("{name} is not healthy {time} after its start: {last}"),
        );
        let failure =
            failure.with_hint("`health_check` in locald.toml sets the check and its timeout");
        self.printer.failure(&failure);
    }

    pub(super) async fn ended(&mut self, code: u8) {
        let name = &self.launch.name;
        let text = match self.on_exit {
            OnExit::Restart => format!("{name} ended with {code}"),
            OnExit::Wait => {
                format!("{name} ended with {code}: a change of the source starts it again")
            }
        };
        self.tell(ServiceState::Ended(code), &text).await;
    }

    /// Sets the state, and then prints a message. After the message, `locald
    /// ps` shows this state.
    pub(super) async fn tell(&mut self, state: ServiceState, text: &str) {
        self.status_table.set(&self.launch.name, state);
        self.status_table.written().await;
        self.printer
            .service_state(&self.launch.name, state.name(), text);
    }

    /// Reports that another program listens on the service's port.
    pub(super) fn port_taken(&mut self, port: u16) {
        let name = &self.launch.name;
        let message = format!("{name} needs port {port}, on which another program listens");
        let failure = Failure::new(FailureKind::Invalid, message);
        let hint = "stop that one, or give the service another `port`";
        self.printer.failure(&failure.with_hint(hint));
    }
}
