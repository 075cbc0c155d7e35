//! Lists the active requests, which a stop of the machine would interrupt.
//! During a stop, no new request starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{Failure, FailureKind};
use tokio::sync::watch;

/// The active requests of an agent; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActiveRequests {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Clone, Default)]
struct State {
    running: BTreeMap<u64, String>,
    next: u64,
    phase: Phase,
}

/// The stages of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Phase {
    #[default]
    Open,
    /// No new request starts. Running requests may finish.
    Draining,
    /// Running requests are cancelled.
    Interrupted,
    /// The agent ends.
    Ended,
}

/// A running request. Dropping it marks the request as finished.
#[derive(Debug)]
pub(crate) struct ActiveRequest {
    work: ActiveRequests,
    number: u64,
}

/// Prevents new requests. Dropping it before the end allows them again.
#[derive(Debug)]
pub(crate) struct Drain(ActiveRequests);

impl ActiveRequests {
    /// Registers a request. Fails during a stop.
    pub(crate) fn begin(&self, name: String) -> Result<ActiveRequest, Failure> {
        let mut number = None;
        self.state.send_if_modified(|state| {
            if state.phase != Phase::Open {
                return false;
            }
            state.next += 1;
            number = Some(state.next);
            state.running.insert(state.next, name);
            true
        });
        let number = number.ok_or_else(|| {
            Failure::new(FailureKind::Machine, "the agent is about to stop")
                .with_hint("try again: the machine is started when it is needed")
        })?;
        let work = self.clone();
        Ok(ActiveRequest { work, number })
    }

    /// The names of all running requests.
    pub(crate) fn running(&self) -> Vec<String> {
        self.state.borrow().running.values().cloned().collect()
    }

    /// Prevents new requests.
    pub(crate) fn drain(&self) -> Drain {
        self.enter(Phase::Draining);
        Drain(self.clone())
    }

    /// Cancels all running requests.
    pub(crate) fn interrupt(&self) {
        self.enter(Phase::Interrupted);
    }

    /// Waits until no request runs.
    pub(crate) async fn finished(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let _ = state.wait_for(|state| state.running.is_empty()).await;
    }

    /// Waits until running requests are cancelled.
    pub(crate) async fn interrupted(&self) {
        let mut state = self.state.subscribe();
        let _ = state
            .wait_for(|state| state.phase >= Phase::Interrupted)
            .await;
    }

    /// Waits until the agent has to end.
    pub(crate) async fn ended(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| state.phase == Phase::Ended).await;
    }

    fn enter(&self, phase: Phase) {
        self.state
            .send_modify(|state| state.phase = state.phase.max(phase));
    }
}

impl Drain {
    /// Ends the agent.
    pub(crate) fn end(self) {
        self.0.enter(Phase::Ended);
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| {
            if state.phase != Phase::Ended {
                state.phase = Phase::Open;
            }
        });
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.work.state.send_modify(|state| {
            state.running.remove(&self.number);
        });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_what_runs_and_lets_nothing_begin() {
        let work = ActiveRequests::default();
        let build = work.begin("a build".to_owned()).unwrap();
        let drain = work.drain();
        assert!(work.begin("another".to_owned()).is_err());
        assert_eq!(work.running(), ["a build"]);
        drop(build);
        work.finished().await;
        drop(drain);
        let again = work.begin("a build".to_owned()).unwrap();
        let drain = work.drain();
        work.interrupt();
        work.interrupted().await;
        drop(again);
        drain.end();
        work.ended().await;
        assert!(work.begin("late".to_owned()).is_err());
    }
}
