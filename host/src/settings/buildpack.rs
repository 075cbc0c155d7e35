//! Parses the names of buildpacks.

use std::path::{Path, PathBuf};

use super::SettingsError;
use super::inline::InlineBuildpack;
use crate::project::Boundary;

/// A buildpack of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildpackChoice {
    /// `id` or `id@version` of a buildpack in the builder.
    Named(String),
    /// A folder with a buildpack.
    Folder(PathBuf),
    /// An image with a buildpack.
    Image(String),
    /// A script in a project.toml.
    Inline(InlineBuildpack),
}

/// The place that names a buildpack.
#[derive(Debug, Clone, Copy)]
pub(super) enum BuildpackSource<'a> {
    /// The command line, which may name any folder.
    CommandLine,
    /// A project's file. Paths are relative to `folder`.
    Project {
        folder: &'a Path,
        boundary: &'a Boundary,
    },
}

impl BuildpackSource<'_> {
    fn path(self, named: &str) -> PathBuf {
        match self {
            Self::CommandLine => named.into(),
            Self::Project { folder, .. } => folder.join(named),
        }
    }

    /// Refuses a folder outside the boundary of a project's file.
    fn admit(self, text: &str, path: PathBuf) -> Result<PathBuf, SettingsError> {
        match self {
            Self::CommandLine => Ok(path),
            Self::Project { folder, boundary } => {
                let found = boundary.find(folder, &path);
                found.map_err(|error| SettingsError::BuildpackBoundary {
                    text: text.to_owned(),
                    error,
                })
            }
        }
    }
}

impl BuildpackChoice {
    /// Finds the kind of buildpack that `text` names.
    ///
    /// A text is a folder if it is spelled like one (`./x`, `/x`), or if the
    /// folder has a `buildpack.toml`. So a folder called `heroku` does not hide
    /// a buildpack of that name.
    pub(super) fn find(text: &str, place: BuildpackSource) -> Result<Self, SettingsError> {
        if let Some(kind) = unsupported(text) {
            let text = text.to_owned();
            return Err(SettingsError::BuildpackKind { text, kind });
        }
        for prefix in ["urn:cnb:builder:", "from=builder:"] {
            if let Some(id) = text.strip_prefix(prefix) {
                return Ok(Self::Named(id.to_owned()));
            }
        }
        if let Some(image) = text.strip_prefix("docker://") {
            return Ok(Self::Image(image.trim_start_matches('/').to_owned()));
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        let spelled = path.len() < text.len() || is_spelled_as_path(path);
        let path = place.path(path);
        if path.join("buildpack.toml").is_file() {
            return Ok(Self::Folder(place.admit(text, path)?));
        }
        if spelled {
            return Err(SettingsError::NoBuildpack { path });
        }
        // An id contains neither `:` nor a digest.
        Ok(if text.contains(':') {
            Self::Image(text.to_owned())
        } else {
            Self::Named(text.to_owned())
        })
    }
}

fn is_spelled_as_path(text: &str) -> bool {
    let path = Path::new(text);
    path.is_absolute() || path.starts_with(".") || path.starts_with("..")
}

fn unsupported(text: &str) -> Option<&'static str> {
    let has_suffix = |suffix: &str| text.to_lowercase().ends_with(suffix);
    if text.starts_with("http://") || text.starts_with("https://") {
        Some("URL")
    } else if text.starts_with("urn:cnb:registry:") {
        Some("name in the buildpack registry")
    } else if [".tgz", ".tar", ".cnb", ".zip"].into_iter().any(has_suffix) {
        Some("packaged file")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_spelling_names_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let base = dunce::canonicalize(folder.path()).unwrap();
        let boundary = Boundary::of(&base);
        let place = BuildpackSource::Project {
            folder: &base,
            boundary: &boundary,
        };
        fs_err::create_dir_all(base.join("mine")).unwrap();
        fs_err::write(base.join("mine/buildpack.toml"), "").unwrap();
        fs_err::create_dir_all(base.join("heroku/nodejs")).unwrap();
        let named = |id: &str| BuildpackChoice::Named(id.to_owned());
        let image = |name: &str| BuildpackChoice::Image(name.to_owned());
        let cases = [
            ("heroku/nodejs", named("heroku/nodejs")),
            ("heroku/nodejs@1.2.3", named("heroku/nodejs@1.2.3")),
            ("urn:cnb:builder:a/b@1", named("a/b@1")),
            ("from=builder:a/b", named("a/b")),
            ("docker://ghcr.io/a/b", image("ghcr.io/a/b")),
            ("docker:///a/b:1", image("a/b:1")),
            ("ghcr.io/a/b:1", image("ghcr.io/a/b:1")),
            ("mine", BuildpackChoice::Folder(base.join("mine"))),
            ("./mine", BuildpackChoice::Folder(base.join("mine"))),
        ];
        for (text, expected) in cases {
            assert_eq!(
                BuildpackChoice::find(text, place).unwrap(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_used_is_an_error() {
        let place = BuildpackSource::CommandLine;
        for text in ["./nowhere", "../nowhere", "/nowhere", "file:///nowhere"] {
            let error = BuildpackChoice::find(text, place).unwrap_err();
            assert!(matches!(error, SettingsError::NoBuildpack { .. }), "{text}");
        }
        for text in ["https://x/y.tgz", "a.CNB", "urn:cnb:registry:a/b"] {
            let error = BuildpackChoice::find(text, place).unwrap_err();
            assert!(
                matches!(error, SettingsError::BuildpackKind { .. }),
                "{text}"
            );
        }
    }

    #[test]
    fn a_project_names_no_folder_outside_of_it() {
        let top = tempfile::tempdir().unwrap();
        let top = dunce::canonicalize(top.path()).unwrap();
        for folder in ["project", "other"] {
            fs_err::create_dir(top.join(folder)).unwrap();
        }
        fs_err::write(top.join("other/buildpack.toml"), "").unwrap();
        let folder = top.join("project");
        let boundary = Boundary::of(&folder);
        let place = BuildpackSource::Project {
            folder: &folder,
            boundary: &boundary,
        };
        let absolute = format!("file://{}", top.join("other").display());
        for text in ["../other", &absolute] {
            let error = BuildpackChoice::find(text, place).unwrap_err();
            let is_refused = matches!(error, SettingsError::BuildpackBoundary { .. });
            assert!(is_refused, "{error}");
        }
        assert!(BuildpackChoice::find(&absolute, BuildpackSource::CommandLine).is_ok());
    }
}
