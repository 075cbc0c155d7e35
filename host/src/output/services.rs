//! Formats the table of `locald ps`.

use serde_json::{Value, json};

use super::measure::{age, now};
use super::sanitise::clean;
use super::table::table;
use crate::report::{ServiceState, ServiceStatus, Statuses};

/// A service that crashed needs this many healthy seconds to count as stable.
const UNSTEADY: u64 = 10;

pub(super) fn lines(statuses: &Statuses) -> Vec<String> {
    if statuses.is_empty() {
        return vec!["No service runs: `locald up` starts those of locald.toml".to_owned()];
    }
    let heading = ["SERVICE", "STATE", "SINCE", "PORT", "RESTARTS"].map(str::to_owned);
    let mut rows = vec![heading.to_vec()];
    for (name, status) in statuses {
        let seconds = now().saturating_sub(status.since);
        let state = match status.state {
            ServiceState::Ended(code) => format!("ended with {code}"),
            // The service is healthy now, and crashed some seconds ago.
            ServiceState::Healthy if status.restarts > 0 && seconds < UNSTEADY => {
                "restarting".to_owned()
            }
            state => state.name().to_owned(),
        };
        let port = status.port.map_or("-".to_owned(), |port| port.to_string());
        rows.push(vec![
            clean(name),
            state,
            since(seconds),
            port,
            status.restarts.to_string(),
        ]);
    }
    table(&rows)
}

fn since(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        more => age(more),
    }
}

pub(super) fn json(statuses: &Statuses) -> Value {
    let service = |(name, status): (&String, &ServiceStatus)| {
        let code = match status.state {
            ServiceState::Ended(code) => Some(code),
            _ => None,
        };
        json!({
            "name": name, "state": status.state.name(), "code": code, "port": status.port,
            "restarts": status.restarts, "since": status.since,
        })
    };
    statuses.iter().map(service).collect()
}
