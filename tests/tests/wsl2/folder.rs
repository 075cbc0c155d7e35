//! The live folder of a shell, between Windows and its distribution.

use harness::{App, await_that, builder, unique};

use super::Windows;
use super::windows::path;

#[test]
fn a_folder_is_live() {
    let windows = Windows::start();
    let (app, name) = (App::web(), unique("live"));
    app.write("notes", "old\n");
    let folder = path(app.path());
    windows
        .locald(["build", &folder, "-t", &name, "--builder", &builder()])
        .succeed();
    let script = "cat notes; echo made > made; echo x > Notes; echo x > 'a?b'; echo up; \
                  until grep -q new notes; do sleep 0.1; done; echo seen > seen";
    let mut running = windows
        .locald(["shell", &folder, "--", "sh", "-c", script])
        .start();
    running.await_output("up");
    let text = |path: &str| fs_err::read_to_string(app.path().join(path)).unwrap_or_default();
    await_that("the file made inside is here", || text("made") == "made\n");
    assert_eq!(text("notes"), "old\n");
    app.write("notes", "new\n");
    let output = running.wait();
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(text("seen"), "seen\n");
    // What Windows cannot have is told, and stays where it was made.
    for (name, why) in [("Notes", "does not tell its name"), ("a?b", "")] {
        let told = |line: &str| line.contains(name) && line.contains(why);
        assert!(output.stderr.lines().any(told), "{name}: {}", output.stderr);
        assert!(!app.path().join(name).exists(), "{name}");
    }
    let again = ["shell", &folder, "--", "sh", "-c", "cat Notes 'a?b' notes"];
    let output = windows.locald(again).succeed();
    assert_eq!(output.stdout.replace('\r', ""), "x\nx\nnew\n");
}
