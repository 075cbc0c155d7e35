//! Matches `.gitignore` files as git does. A file applies to its directory and
//! below, and the last matching pattern of the nearest file decides.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use gix_ignore::glob::pattern::Case;
use gix_ignore::glob::{Pattern, wildmatch};

use super::{BadRule, RuleError};
use crate::platform::control_file;
use crate::project::{Boundary, repository_of};
use crate::sync::source::{SourceError, files};

/// The maximum number of stars. The matcher gives up on more.
const STARS: usize = 60;

const CASE: Case = if files::IGNORES_CASE {
    Case::Fold
} else {
    Case::Sensitive
};

/// The `.gitignore` files that apply to a directory.
#[derive(Debug, Clone, Default)]
pub(in crate::sync::source) struct GitIgnores(Option<Rc<File>>);

#[derive(Debug)]
struct File {
    above: GitIgnores,
    patterns: Vec<Pattern>,
    /// The length of the prefix of a path that leads to the file's directory.
    base: usize,
}

impl GitIgnores {
    /// Returns the files that apply to a folder because of its repository:
    /// `.git/info/exclude`, and those above the folder. Also returns the path
    /// from the repository's root to the folder, with a slash at its end.
    pub(in crate::sync::source) fn above(
        folder: &Path,
        boundary: &Boundary,
    ) -> Result<(Self, Vec<u8>), SourceError> {
        let mut ignores = Self::default();
        let mut way = Vec::new();
        let Some(repository) = repository_of(folder) else {
            return Ok((ignores, way));
        };
        let exclude = exclude_file(repository);
        let bytes = control_file::read_if_there(&exclude).map_err(|source| SourceError::Read {
            path: exclude.clone(),
            source,
        })?;
        ignores = ignores.with(&exclude, bytes, 0)?;
        let below = folder.strip_prefix(repository).unwrap_or(Path::new(""));
        let mut directory = repository.to_owned();
        for name in below {
            ignores = ignores.enter(&directory, way.len(), boundary)?;
            directory.push(name);
            way.extend(files::name(Path::new(name))?);
            way.push(b'/');
        }
        Ok((ignores, way))
    }

    /// Adds the file of a directory.
    pub(in crate::sync::source) fn enter(
        &self,
        directory: &Path,
        base: usize,
        boundary: &Boundary,
    ) -> Result<Self, SourceError> {
        let path = directory.join(".gitignore");
        let bytes = boundary.read(&path)?;
        self.with(&path, bytes, base)
    }

    fn with(&self, path: &Path, bytes: Option<Vec<u8>>, base: usize) -> Result<Self, SourceError> {
        let Some(bytes) = bytes else {
            return Ok(self.clone());
        };
        let patterns = patterns(&bytes).map_err(|error| error.of(path))?;
        Ok(Self(Some(Rc::new(File {
            above: self.clone(),
            patterns,
            base,
        }))))
    }

    /// Whether git ignores a path. The path is relative to the repository's
    /// root, and its directory must not be ignored.
    pub(in crate::sync::source) fn leave_out(&self, path: &[u8], is_directory: bool) -> bool {
        let mut files = self;
        while let Some(file) = &files.0 {
            let path = path.get(file.base..).unwrap_or_default();
            let mut latest = file.patterns.iter().rev();
            if let Some(pattern) = latest.find(|it| matches(it, path, is_directory)) {
                return !pattern.is_negative();
            }
            files = &file.above;
        }
        false
    }
}

/// Whether a pattern matches a path, relative to the directory of its file.
pub(super) fn matches(pattern: &Pattern, path: &[u8], is_directory: bool) -> bool {
    let name = path.iter().rposition(|byte| *byte == b'/').map(|it| it + 1);
    let mode = wildmatch::Mode::NO_MATCH_SLASH_LITERAL;
    pattern.matches_repo_relative_path(path.into(), name, Some(is_directory), CASE, mode)
}

/// Parses the patterns of a file.
pub(super) fn patterns(bytes: &[u8]) -> Result<Vec<Pattern>, RuleError> {
    super::check_text(bytes)?;
    // git adds a line feed to the last line, so a carriage return there belongs
    // to the line end.
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let read = |(pattern, line, _): (Pattern, usize, _)| {
        if pattern.text.split(|byte| *byte == b'*').count() > STARS {
            let reason = BadRule::Stars;
            return Err(RuleError { line, reason });
        }
        Ok(pattern)
    };
    gix_ignore::parse(bytes, false).map(read).collect()
}

/// Returns the path of `info/exclude` of a repository. All worktrees share one.
fn exclude_file(repository: &Path) -> PathBuf {
    let text = |path: PathBuf| {
        let text = control_file::read(&path).and_then(control_file::text);
        text.ok().map(|text| text.trim_end().to_owned())
    };
    let git = repository.join(".git");
    let linked = text(git.clone());
    let git = match linked
        .as_deref()
        .and_then(|text| text.strip_prefix("gitdir: "))
    {
        Some(elsewhere) => repository.join(elsewhere),
        None => git,
    };
    let shared = text(git.join("commondir"));
    let git = shared.map_or_else(|| git.clone(), |shared| git.join(shared));
    git.join("info/exclude")
}
