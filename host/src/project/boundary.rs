//! Decides which files a project's own files may name. A project may come from
//! a stranger. So its files cannot bring other files of this machine into an
//! image.

use std::io;
use std::path::{Path, PathBuf};

use directories::BaseDirs;
use protocol::{Failure, FailureKind};

use crate::platform::control_file;

/// The folders that a project's files may name paths in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Boundary {
    /// The repository, or else the project's folder.
    root: PathBuf,
    /// Folders of the user's own configuration.
    trusted: Vec<PathBuf>,
}

/// Why a path in a project's file is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BoundaryError {
    /// The path leads outside the project.
    #[error("{} is {}, outside of {}", named.display(), target.display(), root.display())]
    HelperProcess {
        /// The path as written.
        named: PathBuf,
        /// The path without links.
        target: PathBuf,
        /// The folder that must contain it.
        root: PathBuf,
    },
    /// The path does not exist, or cannot be read.
    #[error("cannot read {}", named.display())]
    Unreadable {
        /// The path as written.
        named: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
}

impl Boundary {
    /// Makes the boundary of a folder. The folder's path must have no links.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            root: repository_of(folder).unwrap_or(folder).to_owned(),
            trusted: Vec::new(),
        }
    }

    /// Adds folders that the user trusts.
    pub(crate) fn with_trusted(self, trusted: &[PathBuf]) -> Self {
        let real = |path: &PathBuf| dunce::canonicalize(path).ok();
        let trusted = trusted.iter().filter_map(real).collect();
        Self { trusted, ..self }
    }

    /// Resolves a path relative to a folder, without links. Refuses a path
    /// outside the boundary.
    pub(crate) fn find(&self, folder: &Path, named: &Path) -> Result<PathBuf, BoundaryError> {
        let target = dunce::canonicalize(folder.join(named));
        let target = target.map_err(|source| BoundaryError::Unreadable {
            named: named.to_owned(),
            source,
        })?;
        let mut roots = std::iter::once(&self.root).chain(&self.trusted);
        if roots.any(|root| target.starts_with(root)) {
            return Ok(target);
        }
        Err(BoundaryError::HelperProcess {
            named: named.to_owned(),
            target,
            root: self.root.clone(),
        })
    }

    /// Reads a file of the project. A link must stay in the boundary. Returns
    /// `None` if the path does not exist.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, BoundaryError> {
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink());
        if is_link
            && let Err(outside @ BoundaryError::HelperProcess { .. }) =
                self.find(Path::new(""), path)
        {
            return Err(outside);
        }
        control_file::read_if_there(path).map_err(|source| BoundaryError::Unreadable {
            named: path.to_owned(),
            source,
        })
    }
}

/// Returns the root of the repository that a folder belongs to, by its nearest
/// `.git`.
///
/// Some users keep their configuration in a repository that contains their
/// whole home. Such a repository counts only if `folder` is its root.
pub(crate) fn repository_of(folder: &Path) -> Option<&Path> {
    let home = BaseDirs::new();
    let home = home.and_then(|it| dunce::canonicalize(it.home_dir()).ok());
    repository_below(folder, home.as_deref())
}

fn repository_below<'a>(folder: &'a Path, home: Option<&Path>) -> Option<&'a Path> {
    let holds = |folder: &&Path| std::fs::symlink_metadata(folder.join(".git")).is_ok();
    let root = folder.ancestors().find(holds)?;
    (!holds_home(root, home) || root == folder).then_some(root)
}

/// Whether a folder is the user's home, or contains it.
pub(super) fn holds_home(folder: &Path, home: Option<&Path>) -> bool {
    folder.parent().is_none() || home.is_some_and(|it| it.starts_with(folder))
}

impl BoundaryError {
    /// Returns the hint for the error.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { .. } => None,
            Self::HelperProcess { .. } => Some(
                "a project's files may name only what is in its folder or repository: move it there, \
                or add its folder to `folders` of [trust] in your own config.toml",
            ),
        }
    }
}

impl From<BoundaryError> for Failure {
    fn from(error: BoundaryError) -> Self {
        let failure = Self::from_error(FailureKind::Invalid, &error);
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn nothing_outside_is_found() {
        let top = tempfile::tempdir().unwrap();
        let top = dunce::canonicalize(top.path()).unwrap();
        for folder in ["project/in/deep", "secret", "project-2", "shared/x"] {
            fs_err::create_dir_all(top.join(folder)).unwrap();
        }
        let project = top.join("project");
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, project.join(name)).unwrap();
        };
        link("in/deep", "inner");
        link("../secret", "outer");
        link(top.join("secret").to_str().unwrap(), "absolute");
        let boundary = Boundary::of(&project);
        let find = |named: &str| boundary.find(&project, Path::new(named));
        assert_eq!(find("in").unwrap(), project.join("in"));
        assert_eq!(find("in/../in").unwrap(), project.join("in"));
        assert_eq!(find("inner").unwrap(), project.join("in/deep"));
        assert_eq!(find(".").unwrap(), project);
        let absolute = project.join("in");
        assert_eq!(find(absolute.to_str().unwrap()).unwrap(), absolute);
        let secret = top.join("secret");
        for named in [
            "..",
            "../secret",
            "in/../../secret",
            "inner/../../../secret",
            "outer",
            "absolute",
            "../project-2",
            secret.to_str().unwrap(),
            "/",
        ] {
            let error = find(named).unwrap_err();
            assert!(
                matches!(error, BoundaryError::HelperProcess { .. }),
                "{named}"
            );
        }
        link("../secret/file", "file");
        fs_err::write(top.join("secret/file"), "").unwrap();
        let error = boundary.read(&project.join("file")).unwrap_err();
        assert!(matches!(error, BoundaryError::HelperProcess { .. }));
        assert_eq!(boundary.read(&project.join("none")).unwrap(), None);
        let error = find("missing").unwrap_err();
        assert!(matches!(error, BoundaryError::Unreadable { .. }));
        let trusting = boundary.with_trusted(&[top.join("shared"), top.join("nowhere")]);
        assert!(trusting.find(&project, Path::new("../shared/x")).is_ok());
        assert!(trusting.find(&project, Path::new("../secret")).is_err());
    }

    #[test]
    fn a_repository_is_the_nearest_one_that_is_no_home() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("home/repository/service/deep");
        fs_err::create_dir_all(&folder).unwrap();
        let home = top.path().join("home");
        let find = || repository_below(&folder, Some(&home));
        assert_eq!(find(), None);
        fs_err::create_dir(home.join(".git")).unwrap();
        assert_eq!(find(), None);
        assert_eq!(repository_below(&home, Some(&home)), Some(&*home));
        // In a worktree or a submodule, `.git` is a file.
        fs_err::write(home.join("repository/.git"), "gitdir: x").unwrap();
        assert_eq!(find(), Some(&*home.join("repository")));
    }
}
