//! Guesses the kind of a project from its files, for a hint when no buildpack
//! detects it.

use protocol::source::{Entry, EntryKind};

/// Files that buildpacks detect, and the kind of project.
const MARKS: [(&str, &str); 21] = [
    ("package.json", "Node.js"),
    ("pyproject.toml", "Python"),
    ("requirements.txt", "Python"),
    ("Pipfile", "Python"),
    ("setup.py", "Python"),
    ("go.mod", "Go"),
    ("Cargo.toml", "Rust"),
    ("pom.xml", "Java (Maven)"),
    ("build.gradle", "Java (Gradle)"),
    ("build.gradle.kts", "Java (Gradle)"),
    ("build.sbt", "Scala"),
    ("project.clj", "Clojure"),
    ("Gemfile", "Ruby"),
    ("composer.json", "PHP"),
    ("index.php", "PHP"),
    ("mix.exs", "Elixir"),
    ("deno.json", "Deno"),
    ("Package.swift", "Swift"),
    ("global.json", ".NET"),
    ("index.html", "static web"),
    ("Dockerfile", "Dockerfile"),
];
/// Extensions of .NET's project files.
const ENDINGS: [&str; 4] = [".csproj", ".fsproj", ".sln", ".slnx"];

/// The guessed kind of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectKind {
    name: &'static str,
    /// The path of the file that shows the kind.
    path: String,
}

impl ProjectKind {
    /// Guesses the kind from the files in the root, or else from those one
    /// folder below.
    pub(crate) fn of(entries: &[Entry]) -> Option<Self> {
        let at = |depth: usize| {
            let paths = entries.iter().filter_map(move |entry| file(entry, depth));
            let mut found: Vec<_> = paths.filter_map(mark).collect();
            found.sort_by_key(|(rank, path)| (*rank, path.len()));
            let (rank, path) = found.into_iter().next()?;
            let name = MARKS.get(rank).map_or(".NET", |(_, name)| name);
            let path = path.to_owned();
            Some(Self { name, path })
        };
        at(0).or_else(|| at(1))
    }

    /// Returns the folder to build. Returns `None` if it is the root.
    pub(crate) fn folder(&self) -> Option<&str> {
        self.path.rsplit_once('/').map(|(folder, _)| folder)
    }
}

/// `a Node.js project (package.json)`
impl std::fmt::Display for ProjectKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a {} project ({})", self.name, self.path)
    }
}

/// Returns the path of a file, if it is at this depth.
fn file(entry: &Entry, depth: usize) -> Option<&str> {
    let path = std::str::from_utf8(&entry.path).ok()?;
    let is_there = path.matches('/').count() == depth;
    let is_file = matches!(entry.kind, EntryKind::File { .. });
    (is_there && is_file).then_some(path)
}

/// Returns the rank and the path of a file that shows a kind. A lower rank is
/// stronger. Returns `None` for another file.
fn mark(path: &str) -> Option<(usize, &str)> {
    let name = path.rsplit('/').next()?;
    let known = MARKS.iter().position(|(file, _)| *file == name);
    let of_dotnet = || {
        let is_one = ENDINGS.iter().any(|ending| name.ends_with(ending));
        is_one.then_some(MARKS.len())
    };
    Some((known.or_else(of_dotnet)?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(paths: &[&str]) -> Option<String> {
        let entry = |path: &&str| Entry {
            path: path.as_bytes().to_vec(),
            kind: EntryKind::File {
                size: 0,
                mode: 0o644,
                modified: 0,
                stamp: 0,
            },
        };
        let entries: Vec<_> = paths.iter().map(entry).collect();
        ProjectKind::of(&entries).map(|kind| format!("{kind} in {:?}", kind.folder()))
    }

    #[test]
    fn the_folders_own_files_count_first() {
        let found = |text: &str| Some(text.to_owned());
        let node = found("a Node.js project (package.json) in None");
        assert_eq!(kind(&["Dockerfile", "package.json", "a/go.mod"]), node);
        let dotnet = found("a .NET project (Shop.csproj) in None");
        assert_eq!(kind(&["Shop.csproj", "a/go.mod"]), dotnet);
        let go = found("a Go project (api/go.mod) in Some(\"api\")");
        assert_eq!(kind(&["README.md", "api/go.mod", "api/x/pom.xml"]), go);
        assert_eq!(kind(&["README.md", "a/b/go.mod"]), None);
    }
}
