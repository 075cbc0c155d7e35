//! Makes printers for background tasks, which share the streams of the first
//! printer.

use std::time::Instant;

use super::log::Log;
use super::{Audience, Printer, json};

impl Printer {
    /// Makes a printer of the same streams for a background task. A successful
    /// phase leaves no line there.
    pub(crate) fn background(&self) -> Self {
        let audience = match &self.audience {
            Audience::People(people) => Audience::people(
                people.reporter.background(),
                people.detail,
                [people.style, people.out_style],
                people.screen.background(),
            ),
            Audience::Programs(_) => Audience::Programs(json::JsonReporter::default()),
        };
        Self {
            audience,
            out: self.out.clone(),
            log: Log::default(),
            started: Instant::now(),
        }
    }
}
