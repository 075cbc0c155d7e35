//! The services that `locald up` runs.

use serde_json::{Value, json};

use super::measure::{age, now};
use super::sanitise::clean;
use super::table::table;
use crate::up::{State, Statuses};

pub(super) fn lines(statuses: &Statuses) -> Vec<String> {
    if statuses.is_empty() {
        return vec!["No service runs yet".to_owned()];
    }
    let heading = ["SERVICE", "STATE", "SINCE", "PORT", "RESTARTS"].map(str::to_owned);
    let mut rows = vec![heading.to_vec()];
    for (name, status) in statuses {
        let state = match status.state {
            State::Ended(code) => format!("ended with {code}"),
            state => state.name().to_owned(),
        };
        let port = status.port.map_or("-".to_owned(), |port| port.to_string());
        rows.push(vec![
            clean(name),
            state,
            age(now().saturating_sub(status.since)),
            port,
            status.restarts.to_string(),
        ]);
    }
    table(&rows)
}

pub(super) fn json(statuses: &Statuses) -> Value {
    let service = |(name, status): (&String, &crate::up::Status)| {
        let code = match status.state {
            State::Ended(code) => Some(code),
            _ => None,
        };
        json!({
            "name": name, "state": status.state.name(), "code": code, "port": status.port,
            "restarts": status.restarts, "since": status.since,
        })
    };
    statuses.iter().map(service).collect()
}
