//! Finds the project that the current folder belongs to.

use std::path::Path;

use directories::BaseDirs;

use super::boundary::repository_of;

/// Files that mark the folder of a project.
const FILES: [&str; 2] = ["locald.toml", "project.toml"];

/// Returns the nearest folder, from `folder` upwards, that has a project's
/// file. The search stays within the repository, or else below the user's home.
/// Without a match, returns `folder` itself. A file of another user does not
/// count: otherwise a user with write access to a folder above could decide
/// what locald builds.
pub(super) fn nearest(folder: &Path) -> &Path {
    let home = BaseDirs::new();
    let home = home.and_then(|it| dunce::canonicalize(it.home_dir()).ok());
    nearest_within(folder, repository_of(folder), home.as_deref())
}

fn nearest_within<'a>(
    folder: &'a Path,
    repository: Option<&Path>,
    home: Option<&Path>,
) -> &'a Path {
    let is_inside = |it: &&Path| match (repository, home) {
        (Some(root), _) => it.starts_with(root),
        (None, Some(home)) => it.starts_with(home) && *it != home,
        (None, None) => false,
    };
    let is_project = |it: &&Path| FILES.iter().any(|name| is_own(&it.join(name)));
    let mut around = folder.ancestors().take_while(is_inside);
    around.find(is_project).unwrap_or(folder)
}

fn is_own(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| {
        #[cfg(unix)]
        if std::os::unix::fs::MetadataExt::uid(&metadata) != rustix::process::geteuid().as_raw() {
            return false;
        }
        metadata.is_file()
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_nearest_project_within_the_repository_or_home_is_found() {
        let top = tempfile::tempdir().unwrap();
        let top = dunce::canonicalize(top.path()).unwrap();
        let (shop, deep) = (top.join("shop"), top.join("shop/web/src/deep"));
        fs_err::create_dir_all(&deep).unwrap();
        fs_err::write(top.join("locald.toml"), "").unwrap();
        fs_err::write(shop.join("project.toml"), "").unwrap();
        let found = |repository, home| nearest_within(&deep, repository, home);
        assert_eq!(found(Some(&shop), None), shop);
        assert_eq!(found(None, Some(&top)), shop);
        // The home folder itself does not count, nor does a folder outside of
        // the repository and the home.
        assert_eq!(found(None, Some(&shop)), deep);
        assert_eq!(found(None, None), deep);
        assert_eq!(found(Some(&deep), Some(&top)), deep);
        fs_err::write(shop.join("web/locald.toml"), "").unwrap();
        assert_eq!(found(Some(&shop), None), shop.join("web"));
    }
}
