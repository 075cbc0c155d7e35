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

/// The rules of a source, except those of `.gitignore` files.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    docker: Patterns,
    exclude: Patterns,
    /// If present, only matching files belong to the source.
    include: Option<Patterns>,
    gitignore: GitIgnoreChoice,
}

/// What a rule decides about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Kept,
    LeftOut,
    /// An excluded directory that may contain files to keep.
    Searched,
}

/// The patterns that a directory matches. Its files match them, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Matched {
    docker: Rc<[bool]>,
    exclude: Rc<[bool]>,
    include: Rc<[bool]>,
}

/// Why a line of an ignore file is not valid.
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
    /// Reads the rules of a folder, and adds those of a project.toml.
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

    /// Makes the rules of a project.toml alone.
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

    /// Sets whether `.gitignore` files apply.
    pub(crate) fn with_gitignore(self, gitignore: GitIgnoreChoice) -> Self {
        Self { gitignore, ..self }
    }

    /// Whether `.gitignore` files apply. They do not if there is an `include`:
    /// that may select files which git ignores, such as build results.
    pub(super) const fn heeds_git(&self) -> bool {
        self.include.is_none() && matches!(self.gitignore, GitIgnoreChoice::Count)
    }

    /// Applies the rules to a path. `above` has the patterns that its directory
    /// matches.
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

/// A list of patterns. The last match decides; a negated pattern keeps a path.
#[derive(Debug, Default)]
struct Patterns {
    list: Vec<Pattern>,
    /// Whether to try only patterns that would change the decision so far, even
    /// for a directory. `BuildKit` does that.
    lazy: bool,
}

#[derive(Debug)]
struct Pattern {
    glob: Dialect,
    negated: bool,
    /// The prefix of every path that can match.
    prefix: Vec<u8>,
    /// Whether the pattern has more than the prefix.
    is_wild: bool,
}

#[derive(Debug)]
enum Dialect {
    Docker(Glob),
    Git(GitPattern),
}

impl Patterns {
    /// Parses a `.dockerignore`.
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

    /// Parses `include` or `exclude` of a project.toml.
    fn of_project(lines: &[String]) -> Result<Self, RuleError> {
        let mut list = Vec::new();
        for line in lines {
            let patterns = git::patterns(line.as_bytes())?;
            list.extend(patterns.into_iter().map(Pattern::of_git));
        }
        Ok(Self { list, lazy: false })
    }

    /// Returns the decision about a path, and the patterns that it matches.
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
    /// Parses a line of a `.dockerignore`. Returns `None` for an empty line or
    /// a comment.
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

    /// Whether the pattern may match a path in a directory.
    fn reaches(&self, directory: &[u8]) -> bool {
        let directory = [directory, b"/"].concat();
        self.prefix.starts_with(&directory) || (self.is_wild && directory.starts_with(&self.prefix))
    }
}

/// Trims white space, as Go's `strings.TrimSpace` does.
fn trim(text: &[u8]) -> &[u8] {
    match str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => text.trim_ascii(),
    }
}

/// Normalises a path, as Go's `filepath.Clean` does.
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

/// Refuses bytes that are not plain text: the rules would not match as
/// intended.
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
