//! `locald store` and `locald prune`.

use harness::{App, builder, busybox, in_busybox, locald, unique};
use serde_json::Value;

/// The last event of a command.
fn answer(arguments: &[&str], home: &std::path::Path) -> Value {
    let output = locald(arguments.iter().copied().chain(["--json"]))
        .home(home)
        .succeed();
    output.json().pop().unwrap()
}

fn built(home: &std::path::Path) -> (App, String) {
    let (app, name) = (App::web(), unique("stored"));
    let arguments = ["build", &app.text(), "-t", &name, "--builder", &builder()];
    locald(arguments).home(home).succeed();
    (app, name)
}

/// Bytes of all that is not temporary.
fn kept(usage: &Value) -> u64 {
    usage["total"].as_u64().unwrap() - usage["temporary"].as_u64().unwrap()
}

#[test]
fn what_takes_space_is_told_and_goes_when_it_is_not_needed() {
    let home = tempfile::tempdir().unwrap();
    let (app, name) = built(home.path());
    let usage = answer(&["store"], home.path());
    let images = usage["images"].as_array().unwrap();
    let builder_image = images
        .iter()
        .find(|image| image["kind"] == "builder")
        .unwrap();
    assert!(
        builder_image["own"].as_u64().unwrap() > 10_000_000,
        "{usage}"
    );
    assert_eq!(usage["projects"][0]["folder"], app.text());
    let before = kept(&usage);

    let nothing = answer(&["prune", "--yes"], home.path());
    assert_eq!(nothing["items"].as_array().unwrap().len(), 0, "{nothing}");
    let plan = answer(&["prune", "--dry-run", "--unused-for", "0d"], home.path());
    assert_eq!(kept(&answer(&["store"], home.path())), before);
    let pruned = answer(&["prune", "--yes", "--unused-for", "0d"], home.path());
    assert_eq!(plan["items"], pruned["items"]);
    let after = kept(&answer(&["store"], home.path()));
    let freed = pruned["bytes"].as_u64().unwrap();
    assert!(
        before - after >= freed && freed > 10_000_000,
        "{before} {after} {freed}"
    );

    // What was built stays, whole; what went comes back by itself.
    locald(["store", "verify"]).home(home.path()).succeed();
    let listed = locald(["image", "ls", "-q"])
        .home(home.path())
        .succeed()
        .stdout;
    assert_eq!(listed.trim(), name);
    let again = [
        "build",
        &app.text(),
        "-t",
        &name,
        "--builder",
        &builder(),
        "--force",
    ];
    locald(again).home(home.path()).succeed();
}

#[test]
fn a_limit_takes_the_longest_unused_first() {
    let home = tempfile::tempdir().unwrap();
    let (old, _) = built(home.path());
    let record = fs_err::read_dir(home.path().join("store/projects")).unwrap();
    let record = record
        .flatten()
        .next()
        .unwrap()
        .path()
        .join("last-build.json");
    let file = fs_err::OpenOptions::new()
        .append(true)
        .open(record)
        .unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    file.file().set_modified(long_ago).unwrap();
    built(home.path());
    let total = answer(&["store"], home.path())["total"].as_u64().unwrap();
    let keep = format!("{}MiB", (total - 1) >> 20);
    let pruned = answer(&["prune", "--yes", "--keep", &keep], home.path());
    assert_eq!(pruned["items"][0]["name"], old.text(), "{pruned}");
}

#[test]
fn damage_is_found_and_mended_or_told() {
    let home = tempfile::tempdir().unwrap();
    let (app, name) = built(home.path());
    let blobs = home.path().join("store/blobs/sha256");
    let inspected = answer(&["image", "inspect", &name], home.path());
    let layers = inspected["manifest"]["layers"].as_array().unwrap();
    let own = layers.last().unwrap()["digest"].as_str().unwrap();
    let own = blobs.join(&own["sha256:".len()..]);
    fs_err::write(&own, "something else").unwrap();
    fs_err::write(blobs.join("0".repeat(64)), "nobody's").unwrap();

    let found = locald(["store", "verify"]).home(home.path()).fail(115, "");
    assert!(found.stdout.contains(&name), "{}", found.stdout);
    assert!(found.stdout.contains("2 faults"), "{}", found.stdout);
    let mended = answer(&["store", "verify", "--repair"], home.path());
    assert_eq!(mended["remaining"], 0, "{mended}");
    locald(["store", "verify"]).home(home.path()).succeed();
    // What was built here is in no registry: the next build makes it again.
    let kept = locald(["image", "ls", "-q"])
        .home(home.path())
        .succeed()
        .stdout;
    assert!(!kept.contains(&name), "{kept}");
    locald(["build", &app.text(), "-t", &name, "--builder", &builder()])
        .home(home.path())
        .succeed();
}

#[test]
fn a_layer_whose_files_have_changed_is_extracted_again() {
    let home = tempfile::tempdir().unwrap();
    locald(["pull", &busybox()]).home(home.path()).succeed();
    let layers = fs_err::read_dir(home.path().join("store/layers")).unwrap();
    let layer = layers.flatten().next().unwrap().path();
    // As a power cut leaves a file whose content was still in memory.
    fs_err::write(layer.join("bin/busybox"), "").unwrap();
    let found = locald(["store", "verify"]).home(home.path()).fail(115, "");
    assert!(found.stdout.contains("not those that"), "{}", found.stdout);
    assert!(found.stdout.contains("test/busybox"), "{}", found.stdout);
    let mended = answer(&["store", "verify", "--repair"], home.path());
    assert_eq!(mended["remaining"], 0, "{mended}");
    locald(["store", "verify"]).home(home.path()).succeed();
    let image = busybox();
    let run = locald(in_busybox(&image, "echo whole")).home(home.path());
    assert_eq!(run.succeed().stdout, "whole\n");
}

#[test]
fn nothing_is_pruned_while_something_is_built() {
    let (app, name) = (App::probe("sleep 2"), unique("busy"));
    let home = tempfile::tempdir().unwrap();
    let arguments = ["build", &app.text(), "-t", &name, "--builder", &builder()];
    let mut building = locald(arguments).home(home.path()).start();
    building.await_output("BUILDING");
    let pruned = locald(["prune", "--yes", "--unused-for", "0d"])
        .home(home.path())
        .succeed();
    assert!(
        pruned.stderr.contains("Waiting for builds"),
        "{}",
        pruned.stderr
    );
    let built = building.wait();
    assert_eq!(built.code, 0, "{}", built.stderr);
    locald(["store", "verify"]).home(home.path()).succeed();
}
