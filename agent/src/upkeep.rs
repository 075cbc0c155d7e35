//! What the store holds, whether it is sound, and what may go.

mod inventory;
mod prune;
mod usage;
mod verify;

pub use prune::prune;
pub use usage::usage;
pub use verify::verify;
