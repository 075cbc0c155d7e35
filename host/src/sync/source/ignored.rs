//! Decides which files do not belong to the source, by `.gitignore` files,
//! `.dockerignore`, and `include` or `exclude` of `project.toml`. A rule that
//! cannot be read stops the build: it may name a secret.

mod docker;
mod git;

use std::path::Path;
use std::rc::Rc;

use gix_ignore::glob::Pattern as GitPattern;

pub(crate) use docker::BadGlob;
use docker::Glob;
pub(super) use git::GitIgnores;

use super::SourceError;
use crate::platform::control_file;
use crate::project::Boundary;
use crate::settings::{GitIgnoreChoice, SourceFilter};

/// Rules beside `.gitignore`.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    docker: Patterns,
    exclude: Patterns,
    /// When there are any, only these belong to the source.
    include: Option<Patterns>,
    gitignore: GitIgnoreChoice,
}

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Kept,
    LeftOut,
    /// A directory that is left out but for what is kept in it.
    Searched,
}

/// Which patterns a directory matches: what is in it matches them, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Matched {
    docker: Rc<[bool]>,
    exclude: Rc<[bool]>,
    include: Rc<[bool]>,
}

/// Why a line of an ignore file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRule {
    #[error("the pattern cannot be used: {0}")]
    Glob(#[from] BadGlob),
    #[error("`!` stands alone")]
    Negation,
    #[error("a pattern has more stars than anybody needs")]
    Stars,
    #[error("it holds a zero byte: an ignore file is plain text")]
    Zero,
    #[error("it is UTF-16 text: save it as UTF-8")]
    Utf16,
}

#[derive(Debug)]
struct RuleError {
    line: usize,
    reason: BadRule,
}

impl RuleError {
    fn of(self, file: &Path) -> SourceError {
        SourceError::Rule {
            file: file.to_owned(),
            line: self.line,
            reason: self.reason,
        }
    }
}

impl Rules {
    /// The rules of a folder, and those that a project.toml has for it.
    pub(crate) fn new(
        root: &Path,
        filter: &SourceFilter,
        descriptor: &Path,
        boundary: &Boundary,
    ) -> Result<Self, SourceError> {
        let path = root.join(".dockerignore");
        let docker = match boundary.read(&path)? {
            Some(bytes) => Patterns::of_docker(&bytes).map_err(|error| error.of(&path))?,
            None => Patterns::default(),
        };
        Ok(Self {
            docker,
            ..Self::of_project(filter, descriptor)?
        })
    }

    /// Those alone that a project.toml has.
    pub(crate) fn of_project(
        filter: &SourceFilter,
        descriptor: &Path,
    ) -> Result<Self, SourceError> {
        let own = |lines: &[String]| {
            let patterns = Patterns::of_project(lines);
            patterns.map_err(|error| error.of(descriptor))
        };
        let (include, exclude) = match filter {
            SourceFilter::All => (None, Patterns::default()),
            SourceFilter::Include(lines) if lines.is_empty() => (None, Patterns::default()),
            SourceFilter::Include(lines) => (Some(own(lines)?), Patterns::default()),
            SourceFilter::Exclude(lines) => (None, own(lines)?),
        };
        Ok(Self {
            exclude,
            include,
            ..Self::default()
        })
    }

    /// The same, with or without `.gitignore` files.
    pub(crate) fn with_gitignore(self, gitignore: GitIgnoreChoice) -> Self {
        Self { gitignore, ..self }
    }

    /// Whether `.gitignore` files count: `include` says better what belongs to
    /// the source, such as what a build has made.
    pub(super) const fn heeds_git(&self) -> bool {
        self.include.is_none() && matches!(self.gitignore, GitIgnoreChoice::Count)
    }

    /// Judges a path in a directory that matches some patterns.
    pub(super) fn judge(
        &self,
        path: &[u8],
        is_directory: bool,
        above: &Matched,
    ) -> (Verdict, Matched) {
        let (docker, by_docker) = self.docker.judge(path, is_directory, &above.docker);
        let (exclude, by_exclude) = self.exclude.judge(path, is_directory, &above.exclude);
        let (mut include, mut by_include) = (Verdict::Kept, Rc::default());
        if let Some(patterns) = &self.include {
            let (verdict, matched) = patterns.judge(path, is_directory, &above.include);
            by_include = matched;
            include = match verdict {
                _ if is_directory => Verdict::Searched,
                Verdict::Kept => Verdict::LeftOut,
                Verdict::LeftOut | Verdict::Searched => Verdict::Kept,
            };
        }
        let verdicts = [docker, exclude, include];
        let verdict = if verdicts.contains(&Verdict::LeftOut) {
            Verdict::LeftOut
        } else if verdicts.contains(&Verdict::Searched) {
            Verdict::Searched
        } else {
            Verdict::Kept
        };
        let matched = Matched {
            docker: by_docker,
            exclude: by_exclude,
            include: by_include,
        };
        (verdict, matched)
    }
}

/// Patterns of which each is asked in turn; one that is negated takes back.
#[derive(Debug, Default)]
struct Patterns {
    list: Vec<Pattern>,
    /// Whether a pattern is only asked when it would change something, even
    /// about a directory: `BuildKit` does so.
    lazy: bool,
}

#[derive(Debug)]
struct Pattern {
    glob: Dialect,
    negated: bool,
    /// What every path begins with that it means.
    prefix: Vec<u8>,
    /// Whether more than the prefix is in it.
    is_wild: bool,
}

#[derive(Debug)]
enum Dialect {
    Docker(Glob),
    Git(GitPattern),
}

impl Patterns {
    /// Lines of a `.dockerignore`.
    fn of_docker(bytes: &[u8]) -> Result<Self, RuleError> {
        check_text(bytes)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut list = Vec::new();
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let pattern = Pattern::of_docker(text).map_err(|reason| RuleError { line, reason })?;
            list.extend(pattern);
        }
        Ok(Self { list, lazy: true })
    }

    /// `include` or `exclude` of a project.toml.
    fn of_project(lines: &[String]) -> Result<Self, RuleError> {
        let mut list = Vec::new();
        for line in lines {
            let patterns = git::patterns(line.as_bytes())?;
            list.extend(patterns.into_iter().map(Pattern::of_git));
        }
        Ok(Self { list, lazy: false })
    }

    /// Whether a path is left out, and what it matches.
    fn judge(&self, path: &[u8], is_directory: bool, above: &[bool]) -> (Verdict, Rc<[bool]>) {
        let mut left_out = false;
        let mut matched = vec![false; self.list.len()];
        for (number, pattern) in self.list.iter().enumerate() {
            let inherited = above.get(number).copied().unwrap_or_default();
            let asks = !self.lazy || pattern.negated == left_out;
            if inherited || (asks && pattern.matches(path, is_directory)) {
                matched[number] = true;
                left_out = !pattern.negated;
            }
        }
        let mut negated = self.list.iter().filter(|pattern| pattern.negated);
        let verdict = match left_out {
            false => Verdict::Kept,
            true if is_directory && negated.any(|it| it.reaches(path)) => Verdict::Searched,
            true => Verdict::LeftOut,
        };
        (verdict, matched.into())
    }
}

impl Pattern {
    /// A line of a `.dockerignore`; absent when it says nothing.
    fn of_docker(line: &[u8]) -> Result<Option<Self>, BadRule> {
        if line.starts_with(b"#") {
            return Ok(None);
        }
        let line = trim(line);
        let (negated, text) = match line.strip_prefix(b"!") {
            Some(text) => (true, trim(text)),
            None => (false, line),
        };
        if text.is_empty() {
            return if negated {
                Err(BadRule::Negation)
            } else {
                Ok(None)
            };
        }
        let text = clean(text);
        let glob = Dialect::Docker(Glob::parse(&text)?);
        let special = |byte: &u8| docker::is_special(char::from(*byte));
        let wild = text.iter().position(special);
        Ok(Some(Self {
            glob,
            negated,
            prefix: text[..wild.unwrap_or(text.len())].to_vec(),
            is_wild: wild.is_some(),
        }))
    }

    fn of_git(pattern: GitPattern) -> Self {
        use gix_ignore::glob::pattern::Mode;
        let negated = pattern.is_negative();
        let is_anywhere =
            pattern.mode.contains(Mode::NO_SUB_DIR) && !pattern.mode.contains(Mode::ABSOLUTE);
        let wild = if is_anywhere {
            Some(0)
        } else {
            pattern.first_wildcard_pos
        };
        Self {
            negated,
            prefix: pattern.text[..wild.unwrap_or(pattern.text.len())].to_vec(),
            is_wild: wild.is_some(),
            glob: Dialect::Git(pattern),
        }
    }

    fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        match &self.glob {
            Dialect::Docker(glob) => glob.matches(path),
            Dialect::Git(pattern) => git::matches(pattern, path, is_directory),
        }
    }

    /// Whether it may mean something in a directory.
    fn reaches(&self, directory: &[u8]) -> bool {
        let directory = [directory, b"/"].concat();
        self.prefix.starts_with(&directory) || (self.is_wild && directory.starts_with(&self.prefix))
    }
}

/// White space of Go's.
fn trim(text: &[u8]) -> &[u8] {
    match str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => text.trim_ascii(),
    }
}

/// A path without what stands for nothing in it, as Go's `filepath.Clean`.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    let is_absolute = path.starts_with(b"/");
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => drop(parts.pop()),
            b".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return b".".to_vec();
    }
    parts.join(&b'/')
}

/// Refuses what is no text: its rules would not mean what their author meant.
fn check_text(bytes: &[u8]) -> Result<(), RuleError> {
    let bad = |line, reason| Err(RuleError { line, reason });
    if control_file::check_encoding(bytes).is_err() {
        return bad(1, BadRule::Utf16);
    }
    match bytes.iter().position(|byte| *byte == 0) {
        Some(place) => {
            let before = bytes[..place].iter().filter(|byte| **byte == b'\n');
            bad(before.count() + 1, BadRule::Zero)
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
