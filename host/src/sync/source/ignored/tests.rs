//! Tests of the rules against the behaviour of git and Docker.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn rules(docker: &[u8], filter: &SourceFilter) -> Result<Rules, SourceError> {
    let root = tempfile::tempdir().unwrap();
    fs_err::write(root.path().join(".dockerignore"), docker).unwrap();
    let descriptor = root.path().join("project.toml");
    Rules::new(root.path(), filter, &descriptor, &Boundary::of(root.path()))
}

/// Whether the rules exclude a file. Applies them to the directories above
/// first.
fn out(rules: &Rules, path: &str) -> bool {
    let mut above = Matched::default();
    let ends = path.match_indices('/').map(|(end, _)| end);
    for end in ends {
        let (verdict, matched) = rules.judge(&path.as_bytes()[..end], true, &above);
        if verdict == Verdict::LeftOut {
            return true;
        }
        above = matched;
    }
    rules.judge(path.as_bytes(), false, &above).0 == Verdict::LeftOut
}

fn check(rules: &Rules, left_out: &[&str], kept: &[&str]) {
    for path in left_out {
        assert!(out(rules, path), "{path} is kept");
    }
    for path in kept {
        assert!(!out(rules, path), "{path} is left out");
    }
}

fn docker(text: &str, left_out: &[&str], kept: &[&str]) {
    check(
        &rules(text.as_bytes(), &SourceFilter::All).unwrap(),
        left_out,
        kept,
    );
}

#[test]
fn dockerignore_is_anchored_and_its_last_rule_wins() {
    docker(
        "# all\n*.md\n!README.md\n/build/\n**/*.log\n",
        &["a.md", "build/x", "deep/down/x.log"],
        &["README.md", "docs/a.md", "sub/build/x"],
    );
}

#[test]
fn what_a_negation_names_is_kept_in_what_is_left_out() {
    docker(
        "*\n!src/keep.txt\n",
        &["a", "src/b", "other/src/keep.txt"],
        &["src/keep.txt"],
    );
    docker(
        "docs\n!docs/readme.md\n",
        &["docs/a.md", "docs/x/readme.md"],
        &["docs/readme.md"],
    );
    docker(
        "*\n!**/*.py\n",
        &["a.txt", "a/b.txt"],
        &["a.py", "a/b/c.py"],
    );
    docker("a\n!a/b\na/b/secret\n", &["a/x", "a/b/secret"], &["a/b/x"]);
}

#[test]
fn dockerignore_is_read_as_docker_reads_it() {
    docker("\u{feff}secret\n", &["secret"], &[]);
    docker("secret\r\nother\r\n", &["secret", "other"], &[]);
    docker(
        "foo/../secret.txt\nc//d\n./e\n",
        &["secret.txt", "c/d", "e"],
        &["foo/secret.txt"],
    );
    docker("  secret \t\n! secret\n", &[], &["secret"]);
    docker("{a,b}.txt\n", &["{a,b}.txt"], &["a.txt"]);
    docker(" # no comment\n", &["# no comment"], &[]);
    docker("..\n/\n.\n", &[], &["a", "a/b"]);
    check(
        &rules(b"# caf\xe9\nsecret\n", &SourceFilter::All).unwrap(),
        &["secret"],
        &["a"],
    );
}

#[test]
fn a_rule_that_cannot_be_read_is_an_error_of_its_line() {
    let cases: [(&[u8], usize); 5] = [
        (b"a\n[\n", 2),
        (b"!\n", 1),
        (b"a\nb\0c\n", 2),
        (b"\xff\xfea\0", 1),
        (b"\n\na\\", 3),
    ];
    for (text, expected) in cases {
        match rules(text, &SourceFilter::All) {
            Err(SourceError::Rule { line, .. }) => assert_eq!(line, expected, "{text:?}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
}

#[test]
fn a_searched_directory_is_one_that_a_negation_reaches() {
    let rules = rules(b"*\n!a/b/c\n!x*/y\n", &SourceFilter::All).unwrap();
    let verdict = |path: &str| rules.judge(path.as_bytes(), true, &Matched::default()).0;
    assert_eq!(verdict("a"), Verdict::Searched);
    assert_eq!(verdict("xx"), Verdict::Searched);
    assert_eq!(verdict("b"), Verdict::LeftOut);
    assert_eq!(verdict("ab"), Verdict::LeftOut);
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn include_leaves_everything_else_out() {
    let rules = rules(b"", &SourceFilter::Include(lines(&["src/", "/main.py"]))).unwrap();
    assert!(!rules.heeds_git());
    check(&rules, &["x/main.py", "README"], &["src/a/b.py", "main.py"]);
}

#[test]
fn exclude_is_gitignore_syntax_and_takes_back_what_is_below() {
    let rules = rules(
        b"",
        &SourceFilter::Exclude(lines(&["*.tmp", "!keep.tmp", "lib", "!lib/keep.jar"])),
    );
    check(
        &rules.unwrap(),
        &["a/b.tmp", "lib/a.jar", "lib/x/keep.jar"],
        &["keep.tmp", "a.py", "lib/keep.jar"],
    );
}
