//! Which files do not belong to the source: `.dockerignore`, and `include` or
//! `exclude` of `project.toml`. `.gitignore` is the walk's own business.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::SourceError;

/// Rules beside `.gitignore`.
#[derive(Debug)]
pub(crate) struct Rules {
    docker: Gitignore,
    exclude: Gitignore,
    /// When there are any, only these belong to the source.
    include: Option<Gitignore>,
}

impl Rules {
    /// The rules of a folder; `include` and `exclude` are those of its
    /// project.toml, in gitignore syntax.
    pub(crate) fn new(
        root: &Path,
        include: &[String],
        exclude: &[String],
    ) -> Result<Self, SourceError> {
        let include = match include {
            [] => None,
            lines => Some(patterns(root, lines, "project.toml")?),
        };
        Ok(Self {
            docker: docker(root)?,
            exclude: patterns(root, exclude, "project.toml")?,
            include,
        })
    }

    /// Whether a path is left out. A directory that only an include rule
    /// leaves out may still hold what belongs to the source.
    pub(crate) fn leaves_out(&self, path: &Path, is_directory: bool) -> bool {
        let by = |rules: &Gitignore| {
            let matched = rules.matched_path_or_any_parents(path, is_directory);
            matched.is_ignore()
        };
        let included = self
            .include
            .as_ref()
            .is_none_or(|rules| is_directory || by(rules));
        by(&self.docker) || by(&self.exclude) || !included
    }

    /// Whether directories without files are to be left out.
    pub(crate) fn prunes_directories(&self) -> bool {
        self.include.is_some()
    }
}

fn patterns(root: &Path, lines: &[String], file: &str) -> Result<Gitignore, SourceError> {
    let failed = |source| SourceError::Rules {
        file: file.to_owned(),
        source,
    };
    let mut builder = GitignoreBuilder::new(root);
    for line in lines {
        builder.add_line(None, line).map_err(failed)?;
    }
    builder.build().map_err(failed)
}

/// Patterns of `.dockerignore` start at the root, unlike those of git.
fn docker(root: &Path) -> Result<Gitignore, SourceError> {
    let text = fs_err::read_to_string(root.join(".dockerignore")).unwrap_or_default();
    let lines: Vec<String> = text.lines().filter_map(docker_pattern).collect();
    patterns(root, &lines, ".dockerignore")
}

fn docker_pattern(line: &str) -> Option<String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (negation, pattern) = match line.strip_prefix('!') {
        Some(pattern) => ("!", pattern.trim_start()),
        None => ("", line),
    };
    let pattern = pattern.trim_start_matches("./").trim_start_matches('/');
    let pattern = pattern.trim_end_matches('/');
    (!pattern.is_empty() && pattern != ".").then(|| format!("{negation}/{pattern}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn rules(docker: &str, include: &[&str], exclude: &[&str]) -> (tempfile::TempDir, Rules) {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join(".dockerignore"), docker).unwrap();
        let owned = |lines: &[&str]| {
            lines
                .iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>()
        };
        let rules = Rules::new(root.path(), &owned(include), &owned(exclude)).unwrap();
        (root, rules)
    }

    fn out(rules: &(tempfile::TempDir, Rules), path: &str) -> bool {
        rules.1.leaves_out(&rules.0.path().join(path), false)
    }

    #[test]
    fn dockerignore_is_anchored_and_its_last_rule_wins() {
        let rules = rules("# all\n*.md\n!README.md\n/build/\n**/*.log\n", &[], &[]);
        assert!(out(&rules, "a.md"));
        assert!(!out(&rules, "README.md"));
        assert!(!out(&rules, "docs/a.md"));
        assert!(out(&rules, "build/x"));
        assert!(out(&rules, "deep/down/x.log"));
    }

    #[test]
    fn include_leaves_everything_else_out() {
        let rules = rules("", &["src/", "/main.py"], &[]);
        assert!(!out(&rules, "src/a/b.py"));
        assert!(!out(&rules, "main.py"));
        assert!(out(&rules, "x/main.py"));
        assert!(out(&rules, "README"));
    }

    #[test]
    fn exclude_is_gitignore_syntax() {
        let rules = rules("", &[], &["*.tmp", "!keep.tmp"]);
        assert!(out(&rules, "a/b.tmp"));
        assert!(!out(&rules, "keep.tmp"));
        assert!(!out(&rules, "a.py"));
    }
}
