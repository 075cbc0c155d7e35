//! The live folder of a shell whose agent does not see the host's files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use harness::{App, Locald, Running, await_that, locald, setting, unique};
use rustix::process::Signal;

use super::build;

/// A command line whose agent is a process of this system that is told nothing
/// of it.
fn elsewhere<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Locald {
    let agent = setting("LOCALD_AGENT_BIN");
    locald(arguments)
        .without("LOCALD_MACHINE")
        .env("LOCALD_AGENT", &format!("remote+exec:{agent} stdio"))
}

fn shell(app: &App, script: &str) -> Locald {
    elsewhere(["shell", &app.text(), "--", "sh", "-c", script])
}

/// A built application.
fn app(name: &str) -> App {
    let app = App::web();
    build(&app, &unique(name));
    app
}

/// A shell that waits until the host makes `go`.
fn waiting(app: &App, before: &str, after: &str) -> Running {
    let script = format!("{before}; echo waits; until [ -e go ]; do sleep 0.05; done; {after}");
    let mut running = shell(app, &script).start();
    running.await_output("waits");
    running
}

fn text(app: &App, path: &str) -> String {
    fs_err::read_to_string(app.path().join(path)).unwrap_or_default()
}

fn await_text(app: &App, path: &str, expected: &str) {
    await_that(&format!("{path} is {expected:?}"), || {
        text(app, path) == expected
    });
}

fn exists(app: &App, path: &str) -> bool {
    fs_err::symlink_metadata(app.path().join(path)).is_ok()
}

fn mode(path: &Path) -> u32 {
    fs_err::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn changes_of_a_shell_are_here_when_it_ends() {
    let app = app("ends");
    app.write("old", "old\n");
    app.write("gone/a", "a\n");
    let script = "cat old app.py | head -2; rm -r gone; mkdir -p new/empty; \
                  echo made > new/file; echo 'echo hi' > tool; chmod 750 tool; \
                  ln -s old link; printf changed > old; exit 7";
    let output = shell(&app, script).run();
    assert_eq!(output.code, 7, "{}", output.stderr);
    assert!(output.stdout.starts_with("old\n"), "{}", output.stdout);
    assert_eq!(text(&app, "new/file"), "made\n");
    assert_eq!(text(&app, "old"), "changed");
    assert!(app.path().join("new/empty").is_dir());
    assert!(!exists(&app, "gone"));
    assert_eq!(mode(&app.path().join("tool")), 0o750);
    let link = fs_err::read_link(app.path().join("link")).unwrap();
    assert_eq!(link, Path::new("old"));
    // Nothing is left of how they came.
    let hidden = fs_err::read_dir(app.path()).unwrap().flatten();
    let mut names = hidden.map(|it| it.file_name().into_string().unwrap());
    assert!(names.all(|name| !name.starts_with(".locald")));
}

#[test]
fn both_sides_see_each_others_changes_while_a_shell_runs() {
    let app = app("live");
    app.write("both", "one\n");
    let script = "echo first > inside; until grep -q two both; do sleep 0.05; done; \
                  until [ -x both ] && [ ! -e inside ]; do sleep 0.05; done; echo seen > seen";
    let mut running = shell(&app, &format!("echo up; {script}; cat; true")).start();
    running.await_output("up");
    await_text(&app, "inside", "first\n");
    app.write("both", "two\n");
    let permissions = std::fs::Permissions::from_mode(0o755);
    fs_err::set_permissions(app.path().join("both"), permissions).unwrap();
    fs_err::remove_file(app.path().join("inside")).unwrap();
    await_text(&app, "seen", "seen\n");
    assert_eq!(running.wait().code, 0);
    assert_eq!(text(&app, "both"), "two\n");
    assert!(!exists(&app, "inside"));
}

#[test]
fn git_works_on_both_sides_and_ignored_files_stay_where_they_are() {
    let app = app("git");
    app.write(".gitignore", "target/\n*.log\n");
    app.write("here.log", "");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=n", "-c", "user.email=e"];
        let mut git = Command::new("git");
        git.arg("-C").arg(app.path()).args(identity).args(arguments);
        let output = git.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    let script = "cat .git/HEAD; ls here.log; mkdir -p target/deep; echo built > target/deep/x; \
                  echo side > .git/refs/heads/side; cp .git/refs/heads/main .git/refs/heads/side";
    let output = shell(&app, script).succeed();
    assert!(
        output.stdout.contains("refs/heads/main"),
        "{}",
        output.stdout
    );
    assert!(output.stderr.contains("here.log"), "{}", output.stderr);
    assert!(git(&["branch"]).contains("side"));
    assert_eq!(git(&["status", "--short"]), "");
    assert!(!exists(&app, "target"));
    // The next shell still has it, and the host's removal of its folder is none
    // of its business.
    assert_eq!(shell(&app, "cat target/deep/x").succeed().stdout, "built\n");
}

#[test]
fn what_both_sides_have_changed_is_kept_twice() {
    let app = app("conflict");
    let marker = unique("marker");
    for file in ["notes", "removed", &marker] {
        app.write(file, "old\n");
    }
    // Cut off, so that neither side knows what the other does.
    let mut running = shell(&app, "echo up; exec sleep 600").start();
    running.await_output("up");
    let copy = copy(&marker).unwrap();
    running.signal(Signal::KILL);
    running.wait();
    await_that("the shell is gone", || {
        harness::processes("sleep 600").is_empty()
    });
    fs_err::write(copy.join("notes"), "theirs\n").unwrap();
    fs_err::write(copy.join("removed"), "still wanted\n").unwrap();
    fs_err::write(copy.join("unseen"), "unseen\n").unwrap();
    app.write("notes", "mine\n");
    fs_err::remove_file(app.path().join("removed")).unwrap();
    let output = shell(&app, "cat notes notes.conflict-machine-1 removed unseen").succeed();
    assert_eq!(output.stdout, "mine\ntheirs\nstill wanted\nunseen\n");
    let told = "notes was changed on both sides: the machine's version is notes.conflict-machine-1";
    assert!(output.stderr.contains(told), "{}", output.stderr);
    assert_eq!(text(&app, "notes"), "mine\n");
    assert_eq!(text(&app, "notes.conflict-machine-1"), "theirs\n");
    assert_eq!(text(&app, "removed"), "still wanted\n");
    assert_eq!(text(&app, "unseen"), "unseen\n");
    // It is told once.
    assert!(!shell(&app, "true").succeed().stderr.contains("both sides"));
}

/// The copy that the agent keeps of an application with such a file.
fn copy(marker: &str) -> Option<std::path::PathBuf> {
    let projects = fs_err::read_dir(harness::shared_home().join("store/projects"));
    let copies = projects.unwrap().flatten();
    let mut copies = copies.map(|project| project.path().join("folder/tree"));
    copies.find(|copy| copy.join(marker).exists())
}

#[test]
fn a_killed_host_loses_nothing() {
    let app = app("killed");
    let mut running = shell(&app, "echo up; exec sleep 601").start();
    running.await_output("up");
    running.signal(Signal::KILL);
    running.wait();
    await_that("the shell is gone", || {
        harness::processes("sleep 601").is_empty()
    });
    // A file that had not arrived is left by a killed host.
    app.write(".locald-part-aB3dE6", "");
    let running = waiting(&app, "echo before > before", "echo after > after");
    await_text(&app, "before", "before\n");
    assert!(!exists(&app, ".locald-part-aB3dE6"));
    running.signal(Signal::STOP);
    app.write("go", "");
    // The host sleeps: what the shell makes now, it does not see before it
    // goes on.
    running.signal(Signal::CONT);
    assert_eq!(running.wait().code, 0);
    assert_eq!(text(&app, "after"), "after\n");
}

/// An agent may hear late that a host was killed. What it keeps in step no longer
/// is what the next shell is to see.
#[test]
fn a_session_whose_host_was_killed_is_waited_for() {
    let app = app("left");
    let marker = unique("left");
    app.write(&marker, "old\n");
    shell(&app, "true").succeed();
    let tree = copy(&marker).unwrap();
    let project = tree.ancestors().nth(2).unwrap().file_name().unwrap();
    let lock = format!("store/locks/folder-{}.lock", project.to_str().unwrap());
    let lock = harness::shared_home().join(lock);
    let mut held = Command::new("flock");
    let mut held = held.arg(&lock).args(["sleep", "3"]).spawn().unwrap();
    await_that("the lock is held", || {
        let mut tried = Command::new("flock");
        let tried = tried.arg("--nonblock").arg(&lock).arg("true").status();
        !tried.unwrap().success()
    });
    app.write(&marker, "new\n");
    let output = shell(&app, &format!("cat {marker}")).succeed();
    assert_eq!(output.stdout, "new\n");
    assert!(held.wait().unwrap().success());
}

#[test]
fn a_big_file_and_many_small_ones_travel_both_ways() {
    let app = app("big");
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|it| (it % 251) as u8).collect();
    fs_err::write(app.path().join("big"), &bytes).unwrap();
    for number in 0..1000 {
        app.write(
            &format!("many/{}/{number}", number % 10),
            &number.to_string(),
        );
    }
    let script = "cp big copy; cat big big > bigger; cp -r many more; find many -type f | wc -l";
    let output = shell(&app, script).succeed();
    assert_eq!(output.stdout.trim(), "1000");
    assert_eq!(fs_err::read(app.path().join("copy")).unwrap(), bytes);
    assert_eq!(
        fs_err::metadata(app.path().join("bigger")).unwrap().len(),
        40_000_000
    );
    assert_eq!(text(&app, "more/7/997"), "997");
}

#[test]
fn two_shells_share_a_folder() {
    let app = app("two");
    let first = waiting(&app, "true", "echo 1 > first");
    let second = waiting(
        &app,
        "true",
        "until [ -e done ]; do sleep 0.05; done; echo 2 > second",
    );
    app.write("go", "");
    assert_eq!(first.wait().code, 0);
    assert_eq!(text(&app, "first"), "1\n");
    app.write("done", "");
    assert_eq!(second.wait().code, 0);
    assert_eq!(text(&app, "second"), "2\n");
}
