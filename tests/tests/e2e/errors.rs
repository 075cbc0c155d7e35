//! Bad input: a clear error that names the thing, and a documented exit code.

use std::os::unix::fs::PermissionsExt as _;

use harness::{App, builder, free_port, locald, registry, unique};

fn failing(app: &App, builder: &str, code: i32, saying: &str) {
    let name = unique("failing");
    locald(["build", &app.text(), "-t", &name, "--builder", builder]).fail(code, saying);
}

#[test]
fn the_lifecycles_exit_codes_are_passed_on_and_explained() {
    failing(
        &App::empty("nothing"),
        &builder(),
        20,
        "no buildpack can build this source",
    );
    let broken = App::probe("echo the reason is here >&2; exit 1");
    let name = unique("broken");
    let output = broken.build(&name).fail(51, "a buildpack failed");
    let said = output.all();
    assert!(said.contains("the reason is here"), "{said}");
    let detect = App::probe("true");
    detect.write("detect.sh", "echo odd; exit 3");
    failing(&detect, &builder(), 21, "failed while it looked");
}

#[test]
fn a_builder_that_is_none_says_why() {
    let app = App::web();
    failing(
        &app,
        &format!("{}/test/missing", registry()),
        112,
        "test/missing",
    );
    failing(
        &app,
        &format!("{}/demo/run", registry()),
        117,
        "not a builder",
    );
    failing(
        &app,
        &format!("{}/test/no-lifecycle", registry()),
        122,
        "/cnb/lifecycle/analyzer",
    );
    failing(&app, "Not A Name", 111, "Not A Name");
}

#[test]
fn a_registry_that_is_down_is_named() {
    let address = format!("localhost:{}", free_port());
    failing(&App::web(), &format!("{address}/x"), 114, &address);
}

#[test]
fn a_folder_that_is_none_is_named() {
    locald(["build", "/nowhere/at/all", "-t", "x"]).fail(118, "/nowhere/at/all");
}

#[test]
fn an_unreadable_file_is_named() {
    // Nothing is unreadable for root, which is what locald is when the agent is
    // in its process.
    if rustix::process::geteuid().is_root() || harness::setting("LOCALD_TEST_MODE") != "stdio" {
        return;
    }
    let app = App::web();
    app.write("private", "");
    let mode = std::fs::Permissions::from_mode(0o0);
    fs_err::set_permissions(app.path().join("private"), mode).unwrap();
    failing(&app, &builder(), 118, "private");
}

#[test]
fn a_store_that_cannot_be_written_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let home = file.path().join("home");
    let output = locald(["image", "ls"]).home(&home).run();
    assert_eq!(output.code, 119, "{}", output.stderr);
    assert!(
        output.stderr.contains(home.to_str().unwrap()),
        "{}",
        output.stderr
    );
}

#[test]
fn unknown_keys_of_the_settings_are_named_with_their_line() {
    let app = App::web();
    app.write("locald.toml", "[build]\nbuidler = \"x\"\n");
    let output = locald(["build", &app.text()]).fail(111, "buidler");
    assert!(
        output.stderr.contains("builder") && output.stderr.contains('2'),
        "{}",
        output.stderr
    );
}

#[test]
fn a_failed_build_keeps_the_earlier_image() {
    let (app, name) = (App::probe("true"), unique("kept"));
    super::build(&app, &name);
    let before = super::digest(&name);
    app.write("probe.sh", "exit 1");
    app.build(&name).fail(51, "");
    assert_eq!(super::digest(&name), before);
    app.write("probe.sh", "true");
    super::build(&app, &name);
}
