//! `locald.exe build` and what follows it.

use harness::{App, builder, unique};

use super::Windows;
use super::windows::path;

#[test]
fn a_windows_folder_becomes_an_image_that_runs() {
    let windows = Windows::start();
    let (app, name) = (App::web(), unique("windows"));
    let folder = path(app.path());
    let arguments = ["build", &folder, "-t", &name, "--builder", &builder()];
    let first = windows.locald(arguments).succeed();
    let said = first.all();
    assert!(said.contains("WSL2 distribution locald"), "{said}");
    let second = windows.locald(arguments).succeed();
    let said = second.all();
    assert!(said.contains("up to date"), "{said}");
    let run = ["run", &name, "--command", "--", "cat", "app.py"];
    let output = windows.locald(run).succeed();
    assert_eq!(output.stdout.trim(), read(&app, "app.py").trim());
    let listed = windows.locald(["image", "ls"]).succeed();
    assert!(listed.stdout.contains(&name), "{}", listed.stdout);
    let file = app.outside().join("image.tar");
    let target = format!("oci-archive:{}", path(&file));
    windows
        .locald(["image", "export", &name, &target])
        .succeed();
    assert!(fs_err::metadata(file).unwrap().len() > 1_000_000);
}

fn read(app: &App, file: &str) -> String {
    fs_err::read_to_string(app.path().join(file)).unwrap()
}

#[test]
fn scripts_are_executable_and_other_files_are_not() {
    let windows = Windows::start();
    let script = "ls -l run.sh notes.txt; cat notes.txt";
    let app = App::probe(script);
    app.write("run.sh", "#!/bin/sh\n");
    app.write("notes.txt", "with umlauts: ü\n");
    let folder = path(app.path());
    let name = unique("modes");
    let arguments = ["build", &folder, "-t", &name, "--builder", &builder(), "-v"];
    let output = windows.locald(arguments).succeed();
    let said = output.all();
    assert!(said.contains("-rwxr-xr-x"), "{said}");
    assert!(said.contains("-rw-r--r--"), "{said}");
    assert!(said.contains("with umlauts: ü"), "{said}");
}
