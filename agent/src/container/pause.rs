//! Suspends and resumes containers together with this process. A shell that
//! suspends a job does not know the process groups of its containers.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::process::{Signal, pidfd_send_signal};

/// The init processes of all containers of this process.
static INITS: Mutex<Vec<Weak<OwnedFd>>> = Mutex::new(Vec::new());

/// Adds a container, until its handle is dropped.
pub(super) fn add(init: &Arc<OwnedFd>) {
    let mut inits = INITS.lock().unwrap_or_else(PoisonError::into_inner);
    inits.retain(|init| init.strong_count() > 0);
    inits.push(Arc::downgrade(init));
}

/// Suspends all programs in all containers.
pub fn suspend() {
    tell(Signal::TSTP);
}

/// Resumes all programs in all containers.
pub fn resume() {
    tell(Signal::CONT);
}

fn tell(signal: Signal) {
    let inits = INITS.lock().unwrap_or_else(PoisonError::into_inner);
    for init in inits.iter().filter_map(Weak::upgrade) {
        // This fails if the container has ended.
        let _ = pidfd_send_signal(&init, signal);
    }
}
