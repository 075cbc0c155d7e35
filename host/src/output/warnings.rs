//! Finds warnings in the output of a build. The output folds away after a
//! success; the warnings stay.

use std::collections::HashSet;

use super::sanitise::clean;

/// The maximum number of lines of warnings in memory. The log has all of them.
const KEPT: usize = 20;
/// The maximum number of different warnings to remember. locald prints each
/// once.
const KNOWN: usize = 10_000;

/// How a warning begins, in lower case: rustc and Paketo (`warning:`), Maven
/// (`[warning]`), the libraries of Heroku's buildpacks (`[warning: …]`), npm,
/// yarn, pip, pnpm, logrus.
const BEGINNINGS: [&str; 9] = [
    "warning:",
    "warning ",
    "[warning",
    "[warn]",
    "warn ",
    "warn:",
    "warn[",
    "npm warn ",
    "deprecation:",
];
/// Phrases that mark a warning anywhere in a line: `main.c:3:5: warning: …`,
/// `DeprecationWarning: …`, and messages of buildpacks about old versions.
const PHRASES: [&str; 7] = [
    "warning: ",
    "is deprecated",
    "will be deprecated",
    "end-of-life",
    "end of life",
    "no longer supported",
    "migrate your application",
];

/// The warnings of a build.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    kept: Vec<String>,
    more: usize,
    known: HashSet<String>,
    /// The warning that may continue on the next line.
    open: Option<Open>,
}

/// Which of the next lines belong to a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Indented lines, and lines with rustc's margin.
    Indented(usize),
    /// Lines with the same mark.
    Marked,
    /// All lines up to an empty one.
    Paragraph,
}

impl Warnings {
    /// Handles a line of output.
    pub(super) fn line(&mut self, line: &str) {
        let text = clean(line);
        let begun = Open::by(&text);
        let goes_on = self.open.is_some_and(|open| open.takes(&text));
        if begun.is_some() && !goes_on {
            // Skip a known warning together with its other lines.
            let is_new = self.known.len() < KNOWN && self.known.insert(text);
            self.open = begun.filter(|_| is_new);
        } else if !goes_on {
            self.open = None;
        }
        if self.open.is_none() {
            return;
        }
        if self.kept.len() < KEPT {
            self.kept.push(line.to_owned());
        } else {
            self.more += 1;
        }
    }

    /// Returns the first lines of the warnings, and the number of further ones.
    pub(super) fn take(&mut self) -> (Vec<String>, usize) {
        let taken = std::mem::take(self);
        (taken.kept, taken.more)
    }
}

impl Open {
    /// Returns how a warning continues. Returns `None` if this line does not
    /// start one.
    fn by(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        if is_marked(trimmed) {
            return Some(Self::Marked);
        }
        let lower = trimmed.to_lowercase();
        let begins = BEGINNINGS.iter().any(|it| lower.starts_with(it));
        if !begins && !PHRASES.iter().any(|it| lower.contains(it)) {
            return None;
        }
        if lower.starts_with("[warning:") {
            return Some(Self::Paragraph);
        }
        Some(Self::Indented(indentation(text)))
    }

    fn takes(self, text: &str) -> bool {
        match self {
            Self::Indented(of) => {
                let is_deeper = indentation(text) > of && !is_status_of_cargo(text);
                !text.trim().is_empty() && (is_deeper || is_margin(text))
            }
            Self::Marked => is_marked(text.trim()),
            Self::Paragraph => !text.trim().is_empty(),
        }
    }
}

/// Whether a line has the exclamation mark of warnings of Heroku's buildpacks.
fn is_marked(trimmed: &str) -> bool {
    trimmed == "!" || trimmed.starts_with("! ")
}

/// Whether a line has rustc's margin: `12 |     let x = 1;`.
fn is_margin(text: &str) -> bool {
    let text = text.trim_start();
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    rest.len() < text.len() && rest.trim_start().starts_with('|')
}

/// Whether a line is a status of cargo: a word that ends at column twelve, such
/// as `    Finished release`.
fn is_status_of_cargo(text: &str) -> bool {
    let Some((status, rest)) = text.split_at_checked(12) else {
        return false;
    };
    let verb = status.trim_start();
    let is_verb = verb.starts_with(|first: char| first.is_ascii_uppercase());
    is_verb && verb.chars().all(|it| it.is_ascii_alphabetic()) && rest.starts_with(' ')
}

fn indentation(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(output: &str) -> String {
        let mut warnings = Warnings::default();
        output.lines().for_each(|line| warnings.line(line));
        let (lines, more) = warnings.take();
        assert_eq!(more, 0);
        lines.join("\n")
    }

    #[test]
    fn warnings_of_many_tools_are_found_whole() {
        let output = include_str!("warnings/output.txt");
        let parts: Vec<_> = output.split("===> ").map(warnings).collect();
        insta::assert_snapshot!(parts.join("\n===\n"));
    }

    #[test]
    fn what_only_speaks_of_warnings_is_none() {
        for line in [
            "   Compiling warning-lights v1.0.0",
            "0 warnings, 0 errors",
            "npm install --loglevel=warn",
            "Build succeeded without warnings.",
            "!important",
            "Downloading deprecated-react-native-prop-types-5.0.0.tgz",
            "warnings are errors",
        ] {
            assert_eq!(warnings(line), "", "{line}");
        }
    }

    #[test]
    fn each_is_told_once_and_many_are_counted() {
        let mut found = Warnings::default();
        for _ in 0..3 {
            found.line("warning: unused");
            found.line(" --> src/main.rs");
            found.line("");
        }
        let both = ["warning: unused", " --> src/main.rs"].map(str::to_owned);
        assert_eq!(found.take(), (both.to_vec(), 0));
        (0..50).for_each(|number| found.line(&format!("warning: {number}")));
        let (lines, more) = found.take();
        assert_eq!((lines.len(), more), (KEPT, 30));
    }

    #[test]
    fn colours_do_not_hide_a_warning() {
        let line = "\u{1b}[0m\u{1b}[1;33mwarning\u{1b}[0m\u{1b}[1m: unused\u{1b}[0m";
        assert_eq!(warnings(line), line);
    }
}
