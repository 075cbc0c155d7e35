//! Collects the conflicts and problems that the user reads after a shell.

use std::collections::BTreeMap;

use crate::output::Printer;
use crate::sync::watch::Polling;

/// The maximum number of conflicts, and of problems, to list.
const TOLD: usize = 10;

/// Conflicts and problems during a session.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Paths that both sides had changed, and the path of the machine's
    /// version.
    conflicts: Vec<(String, String)>,
    /// Paths that only one side has, and the reason.
    problems: BTreeMap<String, String>,
    /// Present if the system could not watch the folder.
    polling: Option<Polling>,
}

impl Report {
    /// Records a conflict at a path.
    pub(super) fn conflict(&mut self, path: &[u8], kept: &[u8]) {
        self.conflicts.push((text(path), text(kept)));
    }

    /// Records that this side cannot have a path.
    pub(super) fn refused(&mut self, path: &[u8], reason: &str) {
        let reason = format!("stays in the machine alone: {reason}");
        self.problems.insert(text(path), reason);
    }

    /// Records that this side cannot read a file.
    pub(super) fn unreadable(&mut self, path: &[u8], reason: &str) {
        let reason = format!("is not in the machine: {reason}");
        self.problems.insert(text(path), reason);
    }

    /// Forgets an earlier problem of a path.
    pub(super) fn settled(&mut self, path: &[u8]) {
        self.problems.remove(&text(path));
    }

    /// Records that the folder is not watched, and is listed once a second
    /// instead.
    pub(super) fn polling(&mut self, polling: Polling) {
        self.polling = Some(polling);
    }

    /// Prints everything.
    pub(crate) fn tell(&self, printer: &mut Printer) {
        for (path, kept) in self.conflicts.iter().take(TOLD) {
            let text = format!("{path} was changed on both sides: the machine's version is {kept}");
            printer.warning(&text, Some("bring them together, and remove one"));
        }
        for (path, reason) in self.problems.iter().take(TOLD) {
            printer.warning(&format!("{path} {reason}"), None);
        }
        if let Some(polling) = &self.polling {
            polling.tell(printer);
        }
        let more = |count: usize| count.saturating_sub(TOLD);
        let more = more(self.conflicts.len()) + more(self.problems.len());
        if more > 0 {
            printer.warning(&format!("and {more} paths more like these"), None);
        }
    }
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
