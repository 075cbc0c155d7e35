//! Selects the files of the source that stay in the image: those that `include`
//! names.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A pattern is not valid, or the source could not be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssetsError {
    #[error("{pattern:?} of `include` is no pattern")]
    Pattern {
        pattern: String,
        #[source]
        source: globset::Error,
    },
    #[error("the source cannot be removed")]
    Remove(#[source] std::io::Error),
}

/// Compiles the patterns. A pattern that matches a directory matches all its
/// contents.
pub(crate) fn patterns(include: &[String]) -> Result<GlobSet, AssetsError> {
    let mut set = GlobSetBuilder::new();
    for pattern in include {
        let refuse = |source| AssetsError::Pattern {
            pattern: pattern.clone(),
            source,
        };
        let plain = pattern.trim_start_matches("./").trim_matches('/');
        let glob = GlobBuilder::new(plain).literal_separator(true).build();
        set.add(glob.map_err(refuse)?);
    }
    set.build().map_err(|source| AssetsError::Pattern {
        pattern: include.join(", "),
        source,
    })
}

/// Removes all files of the source that match no pattern.
pub(crate) fn keep_only(app: &Path, patterns: &GlobSet) -> Result<(), AssetsError> {
    prune(app, Path::new(""), patterns).map_err(AssetsError::Remove)?;
    Ok(())
}

/// Removes files of a directory. Returns whether any file of it stays.
fn prune(root: &Path, directory: &Path, patterns: &GlobSet) -> std::io::Result<bool> {
    let mut stays = false;
    for entry in fs_err::read_dir(root.join(directory))? {
        let entry = entry?;
        let path = directory.join(entry.file_name());
        if patterns.is_match(&path) {
            stays = true;
        } else if !entry.file_type()?.is_dir() {
            fs_err::remove_file(entry.path())?;
        } else if patterns.is_empty() {
            fs_err::remove_dir_all(entry.path())?;
        } else if prune(root, &path, patterns)? {
            stays = true;
        } else {
            fs_err::remove_dir(entry.path())?;
        }
    }
    Ok(stays)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn only_what_is_included_stays() {
        let app = tempfile::tempdir().unwrap();
        let files = [
            "src/main.rs",
            "static/css/a.css",
            "a/b/t.html",
            "a/x",
            "Cargo.toml",
        ];
        for file in files {
            let path = app.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        let include = ["/static/".to_owned(), "**/*.html".to_owned()];
        keep_only(app.path(), &patterns(&include).unwrap()).unwrap();
        let left: Vec<bool> = files
            .iter()
            .map(|it| app.path().join(it).exists())
            .collect();
        assert_eq!(left, [false, true, true, false, false]);
        assert!(!app.path().join("src").exists());
        assert!(patterns(&["[".to_owned()]).is_err());
    }
}
