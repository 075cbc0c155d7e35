//! What the store holds, whether it is sound, and what may go.

mod inventory;
mod prune;
mod shortage;
mod usage;
mod verify;

pub use prune::prune;
pub(crate) use shortage::explain;
pub use usage::usage;
pub use verify::verify;

use protocol::{Event, Failure};

use crate::dialogue::Dialogue;
use crate::store::{Lock, Store};

/// Waits, and says so, until nothing is built and nothing runs.
async fn alone(store: &Store, dialogue: &Dialogue) -> Result<Lock, Failure> {
    let wait = async || -> Result<(), Failure> {
        let reason = "builds and containers that use the store".to_owned();
        Ok(dialogue.event(Event::Waiting { reason }).await?)
    };
    store.alone(wait).await
}
