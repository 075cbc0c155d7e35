//! Shortens messages that are too large for a frame. An error that lists many
//! things must still arrive.

use crate::event::Outcome;
use crate::{Event, Failure, FailureKind};

/// The most bytes of one text, and the most causes of a failure. Together they
/// fit into a frame.
const TEXT_CAP: usize = 4 * 1024;
const CAUSES: usize = 8;

impl Failure {
    /// Shortens texts and causes, so that the failure fits into a frame.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        self.causes.truncate(CAUSES);
        let texts = self.causes.iter_mut().chain(&mut self.hint);
        texts.chain([&mut self.message]).for_each(shorten);
        self
    }
}

impl Event {
    /// Shortens an event that is too large for a frame.
    ///
    /// A reply that is too large becomes a failure. Returns `None` for an event
    /// that the request can do without.
    pub fn shortened(self) -> Option<Self> {
        Some(match self {
            Self::Outcome(Outcome::Failed(failure)) => {
                Self::Outcome(Outcome::Failed(failure.shortened()))
            }
            Self::Outcome(Outcome::Done(_)) => {
                let message = "the answer is too large to be sent";
                let failure = Failure::new(FailureKind::Internal, message);
                Self::Outcome(Outcome::Failed(failure))
            }
            Self::Warning {
                mut message,
                mut hint,
            } => {
                hint.iter_mut().chain([&mut message]).for_each(shorten);
                Self::Warning { message, hint }
            }
            _ => return None,
        })
    }
}

fn shorten(text: &mut String) {
    if text.len() > TEXT_CAP {
        text.truncate(text.floor_char_boundary(TEXT_CAP));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::{Reply, frame};

    #[test]
    fn what_is_too_large_is_told_in_short() {
        let long = "linux/é, ".repeat(100_000);
        let mut failure = Failure::new(FailureKind::Platform, format!("x is for {long}"));
        failure.causes = vec![long.clone(); 1000];
        let failure = failure.with_hint(&long);
        let warning = Event::Warning {
            message: long.clone(),
            hint: Some(long),
        };
        for event in [Event::Outcome(Outcome::Failed(failure)), warning] {
            frame::encode(&event).unwrap_err();
            let short = event.shortened().unwrap();
            frame::encode(&short).unwrap();
            if let Event::Outcome(Outcome::Failed(failure)) = short {
                assert_eq!(failure.kind, FailureKind::Platform);
                assert!(failure.message.starts_with("x is for linux/é"));
            }
        }
        let answer = Event::Outcome(Outcome::Done(Reply::Nothing));
        let answer = answer.shortened();
        assert!(matches!(answer, Some(Event::Outcome(Outcome::Failed(_)))));
    }
}
