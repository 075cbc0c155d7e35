//! `locald shell`.

use std::os::unix::fs::MetadataExt as _;

use harness::{App, builder, locald, unique};

use super::build;

#[test]
fn a_shell_has_the_builders_environment_and_the_live_project() {
    let app = App::web();
    build(&app, &unique("shell"));
    let script = "echo $PYTHONPYCACHEPREFIX; pwd; gcc --version | head -1; echo made > inside; cat app.py | head -1";
    let output = locald(["shell", &app.text(), "--", "sh", "-c", script]).succeed();
    assert!(
        output
            .stdout
            .contains("/layers/demo_python-web/bytecode/code\n/workspace\ngcc"),
        "{}",
        output.stdout
    );
    let made = app.path().join("inside");
    assert_eq!(fs_err::read_to_string(&made).unwrap(), "made\n");
    let owner = fs_err::metadata(&made).unwrap().uid();
    assert_eq!(owner, rustix::process::geteuid().as_raw());
}

#[test]
fn the_exit_code_is_passed_on() {
    let app = App::web();
    build(&app, &unique("code"));
    assert_eq!(
        locald(["shell", &app.text(), "--", "sh", "-c", "exit 42"])
            .run()
            .code,
        42
    );
}

#[test]
fn a_project_without_a_build_is_built_first() {
    let app = App::web();
    app.write(
        "locald.toml",
        &format!(
            "[build]\nbuilder = \"{}\"\nname = \"{}\"\n",
            builder(),
            unique("unbuilt")
        ),
    );
    let output = locald(["shell", &app.text(), "--", "echo", "in the shell"]).succeed();
    assert!(
        output.stdout.ends_with("in the shell\n"),
        "{}",
        output.stdout
    );
    assert!(output.stderr.contains("built"), "{}", output.stderr);
}

#[test]
fn what_a_shell_changes_in_the_layers_is_forgotten() {
    let app = App::web();
    build(&app, &unique("layers"));
    let shell = |script: &str| locald(["shell", &app.text(), "--", "sh", "-c", script]).succeed();
    shell("echo x > /layers/demo_python-web/new");
    let listed = shell("ls /layers/demo_python-web").stdout;
    assert!(!listed.contains("new"), "{listed}");
}

#[test]
fn a_terminal_is_given_back_as_it_was() {
    let app = App::web();
    build(&app, &unique("raw"));
    let line = format!(
        "stty -g; {} shell '{}' -- sh -c 'exit 7'; echo $?; stty -g",
        harness::setting("LOCALD_BIN"),
        app.text()
    );
    let said = harness::in_terminal(&line);
    let mut lines = said.lines().map(str::trim_end);
    let before = lines.next();
    let (after, code) = (lines.next_back(), lines.next_back());
    // The end of its own input is echoed, too.
    assert!(code.is_some_and(|it| it.ends_with('7')), "{said}");
    assert_eq!(after, before, "{said}");
}

#[test]
fn a_terminal_is_a_terminal() {
    let app = App::web();
    build(&app, &unique("tty"));
    let line = format!(
        "{} shell '{}' -- sh -c 'tty; stty size; echo $TERM'",
        harness::setting("LOCALD_BIN"),
        app.text()
    );
    let said = harness::in_terminal(&line);
    assert!(said.contains("/dev/pts/0"), "{said}");
}

#[test]
fn what_was_removed_is_built_again() {
    // Its own store: what is removed stays there while others use theirs.
    let home = tempfile::tempdir().unwrap();
    let (app, name) = (App::web(), unique("removed"));
    app.build(&name).home(home.path()).succeed();
    locald(["image", "rm", &name]).home(home.path()).succeed();
    let output = locald(["shell", &app.text(), "--", "echo", "in the shell"])
        .home(home.path())
        .succeed();
    assert!(
        output.stdout.ends_with("in the shell\n"),
        "{}",
        output.stdout
    );
    assert!(output.stderr.contains("built"), "{}", output.stderr);
}
