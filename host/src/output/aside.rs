//! Printers beside the first one.

use std::time::Instant;

use super::log::Log;
use super::{Printer, Voice, json};

impl Printer {
    /// Another printer for the same streams, for what goes on at the same time.
    /// Phases that end well leave no line there.
    pub(crate) fn aside(&self) -> Self {
        let voice = match &self.voice {
            Voice::People(people) => Voice::people(
                people.story.aside(),
                people.detail,
                [people.style, people.out_style],
                people.screen.aside(),
            ),
            Voice::Programs(_) => Voice::Programs(json::Narrator::default()),
        };
        Self {
            voice,
            out: self.out.clone(),
            log: Log::default(),
            started: Instant::now(),
        }
    }
}
