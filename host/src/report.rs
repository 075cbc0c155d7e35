//! Plain values that machines and services report, and that the output shows.

mod machine;
mod services;

pub(crate) use machine::{AgentReport, MachineReport, MachineState, StartStep};
pub(crate) use services::{ServiceState, ServiceStatus, Statuses};
