//! Keeps services running. Each service has a supervisor, a task that takes
//! orders from a channel and writes the service's state to a shared table.

mod backoff;
mod control;
mod health;
mod journal;
mod launch;
mod messages;
mod order;
mod process;
mod procfile;
mod runtime_folder;
mod status_table;
mod supervisor;

pub(crate) use control::{Control, ControlCall, ControlReply, ControlRequest, ask};
pub(crate) use journal::{Journal, LogEntry, Reader};
pub(crate) use launch::{Launch, ServiceProgram};
pub(crate) use order::Order;
pub(crate) use runtime_folder::{RuntimeFolder, RuntimeFolderError};
pub(crate) use status_table::StatusTable;
pub(crate) use supervisor::{OnExit, Supervisor};
