//! Services that are kept running: each by a task of its own, which is told
//! what to do and tells on a common board how it is.

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
