//! Who keeps which folder in step, as far as this process does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// All sessions that keep a project's folder in step; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holders(Arc<Mutex<HashMap<String, Arc<Notify>>>>);

/// One of them, until it is dropped.
pub(super) struct Holder {
    holders: Holders,
    project: String,
    end: Arc<Notify>,
}

impl Holders {
    /// The session of a project begins: it has the project's lock.
    pub(super) fn begin(&self, project: &str) -> Holder {
        let end = Arc::new(Notify::new());
        self.change(|all| all.insert(project.to_owned(), Arc::clone(&end)));
        Holder {
            holders: self.clone(),
            project: project.to_owned(),
            end,
        }
    }

    /// Ends a project's session, if this process has it.
    pub(super) fn end(&self, project: &str) {
        if let Some(end) = self.change(|all| all.get(project).cloned()) {
            end.notify_one();
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<String, Arc<Notify>>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Holder {
    /// Waits until another session takes over.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.holders.change(|all| all.remove(&self.project));
    }
}
