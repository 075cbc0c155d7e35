//! Serves the requests about the store: usage, prune, verify, repair.

mod damage;
mod inventory;
mod prune;
mod repair;
mod shortage;
mod usage;
mod verify;

pub use prune::prune;
pub(crate) use shortage::explain;
pub use usage::usage;
pub use verify::verify;
