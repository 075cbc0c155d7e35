//! Tests of the walk. Some compare the result with git's.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::settings::SourceFilter;

fn names(tree: &SourceTree) -> Vec<String> {
    let name = |entry: &Entry| String::from_utf8_lossy(&entry.path).into_owned();
    tree.entries.iter().map(name).collect()
}

fn try_list(root: &Path, filter: &SourceFilter) -> Result<SourceTree, SourceError> {
    let boundary = Boundary::of(root);
    let scope = Scope {
        rules: &Rules::new(root, filter, &root.join("project.toml"), &boundary)?,
        boundary: &boundary,
        parents: Parents::Count,
        own: &[root.join("store")],
    };
    walk(root, scope)
}

fn list(root: &Path, include: &[String]) -> SourceTree {
    let filter = match include {
        [] => SourceFilter::All,
        lines => SourceFilter::Include(lines.to_vec()),
    };
    try_list(root, &filter).unwrap()
}

#[test]
fn ignored_files_and_the_repository_stay_at_home() {
    let root = tempfile::tempdir().unwrap();
    for file in [
        ".git/config",
        "src/a.py",
        "src-x",
        "target/x",
        ".env",
        "sub/y.log",
    ] {
        let path = root.path().join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, "").unwrap();
    }
    fs_err::write(root.path().join(".gitignore"), "/target\n").unwrap();
    fs_err::write(root.path().join("sub/.gitignore"), "*.log\n").unwrap();
    let expected = [
        ".env",
        ".gitignore",
        "src",
        "src/a.py",
        "src-x",
        "sub",
        "sub/.gitignore",
    ];
    assert_eq!(names(&list(root.path(), &[])), expected);
    let only = list(root.path(), &["*.py".to_owned()]);
    assert_eq!(names(&only), ["src", "src/a.py"]);
}

#[test]
fn links_stay_links_and_sockets_are_named() {
    let root = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("..", root.path().join("loop")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.path().join("s")).unwrap();
    let tree = list(root.path(), &[]);
    let target = b"..".to_vec();
    assert_eq!(tree.entries[0].kind, EntryKind::Symlink { target });
    assert_eq!(tree.skipped, ["s"]);
}

#[test]
fn a_file_that_has_just_changed_has_no_stamp() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a");
    fs_err::write(&path, "x").unwrap();
    let stamp = |tree: &SourceTree| match tree.entries[0].kind {
        EntryKind::File { stamp, .. } => stamp,
        _ => panic!("no file"),
    };
    assert_eq!(stamp(&list(root.path(), &[])), 0);
    let file = fs_err::File::options().write(true).open(&path).unwrap();
    let old = SystemTime::now() - std::time::Duration::from_mins(1);
    file.file().set_modified(old).unwrap();
    assert_ne!(stamp(&list(root.path(), &[])), 0);
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
}

#[test]
fn the_repositorys_rules_count_below_it() {
    let top = tempfile::tempdir().unwrap();
    let top = dunce::canonicalize(top.path()).unwrap();
    write(
        &top,
        &[
            (".git/info/exclude", "mine\n"),
            (".gitignore", ".env\nnode_modules/\n/api/local\n/local\n"),
            ("api/.env", ""),
            ("api/node_modules/x", ""),
            ("api/local", ""),
            ("api/mine", ""),
            ("api/sub/.env", ""),
            ("api/sub/local", ""),
            ("api/sub/.git", "gitdir: x"),
        ],
    );
    let here = list(&top.join("api"), &[]);
    assert_eq!(names(&here), ["sub", "sub/local"]);
    // Without a repository, only the folder's own rules apply.
    fs_err::remove_dir_all(top.join(".git")).unwrap();
    assert!(names(&list(&top.join("api"), &[])).contains(&".env".to_owned()));
}

#[test]
fn what_include_names_is_kept_whatever_git_ignores() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &[(".gitignore", "dist\n"), ("dist/a", ""), ("b/c", "")],
    );
    let tree = list(root.path(), &["dist/".to_owned()]);
    assert_eq!(names(&tree), ["dist", "dist/a"]);
}

#[test]
fn rules_that_cannot_be_read_stop_the_walk() {
    for name in [".gitignore", ".dockerignore"] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        let told = || {
            try_list(root.path(), &SourceFilter::All)
                .unwrap_err()
                .to_string()
        };
        fs_err::create_dir(&path).unwrap();
        assert!(told().contains(name), "{}", told());
        fs_err::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(told().contains(name), "{}", told());
        fs_err::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(told().contains(name), "{}", told());
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, b"a\n\xff\0").unwrap();
        assert!(told().contains(&format!("{name}:2")), "{}", told());
    }
}

#[test]
fn what_locald_keeps_is_no_source_and_nothing_is_no_source() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &[("store/blobs/x", ""), ("a", "")]);
    assert_eq!(names(&list(root.path(), &[])), ["a"]);
    write(root.path(), &[(".gitignore", "*\n")]);
    let error = try_list(root.path(), &SourceFilter::All).unwrap_err();
    assert!(matches!(error, SourceError::NothingLeft(_)), "{error}");
}

#[test]
fn directories_of_which_nothing_is_kept_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &[
            (".dockerignore", "*\n!**/*.py\n"),
            ("a/b/c/x.py", ""),
            ("a/b/d/x.txt", ""),
            ("e/x.txt", ""),
        ],
    );
    let tree = list(root.path(), &[]);
    assert_eq!(names(&tree), ["a", "a/b", "a/b/c", "a/b/c/x.py"]);
}

/// Pseudorandom numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

const PARTS: [&str; 14] = [
    "a",
    "b",
    "ab",
    "*",
    "a*",
    "?",
    "**",
    "[ab]",
    "[!a]",
    "[[:alpha:]]",
    "\\a",
    "*b",
    "{a,b}",
    "1",
];
const NAMES: [&str; 7] = ["a", "b", "ab", "ba", "1", "a1", "{a,b}"];
const ENDS: [&str; 5] = ["\n", "\n", "\r\n", " \n", "\t\n"];

fn pattern(dice: &mut Dice) -> String {
    let mut text = String::new();
    text.push_str(dice.one(&["", "", "", "!", "/", "!/", "#", "\\!"]));
    for number in 0..=dice.roll(3) {
        if number > 0 {
            text.push('/');
        }
        text.push_str(dice.one(&PARTS));
    }
    text.push_str(dice.one(&["", "", "", "/"]));
    text.push_str(dice.one(&ENDS));
    text
}

fn ignore_file(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(dice.one(&[&b""[..], b"", b"\xef\xbb\xbf", b"# \xe9\n"]));
    for _ in 0..=dice.roll(4) {
        bytes.extend_from_slice(pattern(dice).as_bytes());
    }
    bytes
}

fn git(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = std::process::Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Random trees with random rules.
#[test]
fn git_lists_the_same_files() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let top = tempfile::tempdir().unwrap();
        let top = dunce::canonicalize(top.path()).unwrap();
        git(&top, &["init", "--quiet"]);
        for _ in 0..40 {
            let depth = dice.roll(4);
            let parts: Vec<&str> = (0..=depth).map(|_| dice.one(&NAMES)).collect();
            let path = top.join(parts.join("/"));
            // A directory may be in the place of a file, or a file in the place
            // of a directory.
            let made = fs_err::create_dir_all(path.parent().unwrap());
            if made.is_ok() && !path.exists() {
                fs_err::write(path, "").unwrap();
            }
        }
        fs_err::write(top.join(".gitignore"), ignore_file(&mut dice)).unwrap();
        for name in NAMES {
            if top.join(name).is_dir() && dice.roll(2) == 0 {
                fs_err::write(top.join(name).join(".gitignore"), ignore_file(&mut dice)).unwrap();
            }
        }
        fs_err::write(top.join(".git/info/exclude"), pattern(&mut dice)).unwrap();
        let folders = NAMES.map(|name| top.join(name));
        for folder in [&top]
            .into_iter()
            .chain(folders.iter().filter(|it| it.is_dir()))
        {
            let listed = git(
                folder,
                &["ls-files", "--others", "--exclude-standard", "-z"],
            );
            let listed = String::from_utf8(listed).unwrap();
            let mut theirs: Vec<&str> = listed.split_terminator('\0').collect();
            theirs.sort_unstable();
            let tree = match try_list(folder, &SourceFilter::All) {
                Err(SourceError::NothingLeft(_)) => SourceTree::new(folder),
                tree => tree.unwrap(),
            };
            let files = tree
                .entries
                .iter()
                .filter(|it| !matches!(it.kind, EntryKind::Directory { .. }));
            let mut ours: Vec<_> = files.map(|it| String::from_utf8_lossy(&it.path)).collect();
            ours.sort_unstable();
            // git ignores everything in an ignored directory. locald lists such
            // a directory if it is the root of the source.
            if !theirs.is_empty() || folder == &top {
                let rules = fs_err::read_to_string(top.join(".gitignore"));
                assert_eq!(ours, theirs, "seed {seed}, {}, {rules:?}", folder.display());
            }
        }
    }
}
