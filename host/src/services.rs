//! Services that are kept running: each by a task of its own, which is told
//! what to do and tells on a common board how it is.

mod backoff;
mod board;
mod control;
mod folder;
mod health;
mod journal;
mod launch;
mod order;
mod process;
mod procfile;
mod supervisor;
mod words;

pub(crate) use board::Board;
pub(crate) use control::{Answer, Ask, Control, Question, ask};
pub(crate) use folder::{Folder, FolderError};
pub(crate) use journal::{Entry, Journal, Reader};
pub(crate) use launch::{Launch, Program};
pub(crate) use order::Order;
pub(crate) use supervisor::{OnExit, Supervisor};
