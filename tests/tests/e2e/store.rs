//! `locald store` and `locald prune`.

use std::path::{Path, PathBuf};

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
    // A project's folder is known before it has a finished build.
    let broken = App::probe("false");
    let arguments = [
        "build",
        &broken.text(),
        "-t",
        "broken",
        "--builder",
        &builder(),
    ];
    locald(arguments).home(home.path()).fail(51, "");
    let usage = answer(&["store"], home.path());
    let projects = usage["projects"].as_array().unwrap();
    assert!(
        projects.iter().any(|it| it["folder"] == broken.text()),
        "{usage}"
    );
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

/// Paths of the documents and layers of an image.
struct Parts {
    manifest: PathBuf,
    config: PathBuf,
    layers: Vec<PathBuf>,
}

fn parts(home: &Path, name: &str) -> Parts {
    let blobs = home.join("store/blobs/sha256");
    let inspected = answer(&["image", "inspect", name], home);
    let path = |digest: &Value| blobs.join(&digest.as_str().unwrap()["sha256:".len()..]);
    let layers = inspected["manifest"]["layers"].as_array().unwrap();
    let listed = answer(&["image", "ls"], home);
    let listed = listed["images"].as_array().unwrap();
    let own = listed.iter().find(|it| it["name"] == name).unwrap();
    Parts {
        manifest: path(&own["digest"]),
        config: path(&inspected["manifest"]["config"]["digest"]),
        layers: layers.iter().map(|layer| path(&layer["digest"])).collect(),
    }
}

fn runs(home: &Path, name: &str) {
    let app = ["run", "--command", name, "--", "cat", "/workspace/app.py"];
    locald(app).home(home).succeed();
}

#[test]
fn what_cannot_be_had_again_is_kept_until_its_user_gives_it_up() {
    let home = tempfile::tempdir().unwrap();
    let (app, name) = built(home.path());
    let built = parts(home.path(), &name);
    // Its tree is not extracted: this is all that there is of it.
    let own = built.layers.last().unwrap();
    fs_err::write(own, "something else").unwrap();
    fs_err::write(own.with_file_name("0".repeat(64)), "nobody's").unwrap();

    let found = locald(["store", "verify"]).home(home.path()).fail(115, "");
    assert!(found.stdout.contains(&name), "{}", found.stdout);
    assert!(found.stdout.contains("2 faults"), "{}", found.stdout);
    let repair = ["store", "verify", "--repair", "--json"];
    let kept = locald(repair)
        .home(home.path())
        .fail(115, "")
        .json()
        .pop()
        .unwrap();
    assert_eq!(kept["remaining"], 1, "{kept}");
    let listed = || {
        locald(["image", "ls", "-q"])
            .home(home.path())
            .succeed()
            .stdout
    };
    assert!(listed().contains(&name));
    let given_up = answer(&["store", "verify", "--repair", "--yes"], home.path());
    assert_eq!(given_up["remaining"], 0, "{given_up}");
    locald(["store", "verify"]).home(home.path()).succeed();
    assert!(!listed().contains(&name));
    app.build(&name).home(home.path()).succeed();
}

#[test]
fn an_image_whose_trees_are_whole_still_runs_and_is_built_again() {
    let home = tempfile::tempdir().unwrap();
    let (app, name) = built(home.path());
    runs(home.path(), &name);
    let layers = parts(home.path(), &name).layers;
    // The run image's can be fetched again, the others are here alone.
    for layer in &layers {
        fs_err::write(layer, "something else").unwrap();
    }
    let mended = answer(&["store", "verify", "--repair"], home.path());
    assert_eq!(mended["remaining"], 0, "{mended}");
    let how = |how: &str| {
        let faults = mended["faults"].as_array().unwrap();
        faults.iter().filter(|fault| fault["repair"] == how).count()
    };
    assert_eq!((how("fetched"), how("runs-only")), (1, layers.len() - 1));
    locald(["store", "verify"]).home(home.path()).succeed();
    runs(home.path(), &name);
    let target = format!("oci:{}", app.outside().join("exported").display());
    let export = ["image", "export", &name, &target];
    locald(export)
        .home(home.path())
        .fail(115, "it runs, but cannot be exported");
    app.build(&name).home(home.path()).succeed();
    locald(export).home(home.path()).succeed();
}

#[test]
fn a_document_that_cannot_be_read_stops_every_removal() {
    let home = tempfile::tempdir().unwrap();
    let (app, name) = built(home.path());
    runs(home.path(), &name);
    let Parts {
        manifest,
        config,
        layers,
    } = parts(home.path(), &name);
    for document in [manifest, config] {
        let whole = fs_err::read(&document).unwrap();
        let mut flipped = whole.clone();
        flipped[40] ^= 1;
        fs_err::remove_file(&document).unwrap();
        fs_err::write(&document, flipped).unwrap();
        // Something else is built, removed and pruned.
        app.write("more", document.to_str().unwrap());
        let other = unique("other");
        let build = ["build", &app.text(), "-t", &other, "--builder", &builder()];
        let said = locald(build).home(home.path()).succeed().stderr;
        assert!(
            said.contains("is not known what") && said.contains(&name),
            "{said}"
        );
        let said = locald(["image", "rm", &other])
            .home(home.path())
            .succeed()
            .stderr;
        assert!(said.contains("image rm"), "{said}");
        locald(["prune", "--yes"])
            .home(home.path())
            .fail(119, "nothing is removed");
        assert!(layers.iter().all(|layer| layer.exists()));
        fs_err::write(&document, whole).unwrap();
        locald(["prune", "--yes"]).home(home.path()).succeed();
        runs(home.path(), &name);
    }
}

#[test]
fn names_survive_a_lost_index() {
    let home = tempfile::tempdir().unwrap();
    locald(["pull", &busybox()]).home(home.path()).succeed();
    let (_app, name) = built(home.path());
    let store = home.path().join("store");
    let index = store.join("index.json");
    let list = || locald(["image", "ls", "-q"]).home(home.path());
    let before = list().succeed().stdout;
    let remove = || fs_err::remove_file(&index).unwrap();
    let damages: [&dyn Fn(); 4] = [
        &remove,
        &|| fs_err::write(&index, "").unwrap(),
        &|| fs_err::write(&index, "{\"manifests\": [{").unwrap(),
        &|| {
            remove();
            fs_err::create_dir(&index).unwrap();
        },
    ];
    for damage in damages {
        damage();
        list().fail(119, "store verify --repair");
        locald(["prune", "--yes"]).home(home.path()).fail(119, "");
        let repair = answer(&["store", "verify", "--repair"], home.path());
        assert_eq!(repair["remaining"], 0, "{repair}");
        assert_eq!(list().succeed().stdout, before);
    }
    // What cannot be read is not lost: it is left as it is.
    let kept = home.path().join("kept.json");
    fs_err::rename(&index, &kept).unwrap();
    std::os::unix::fs::symlink(&index, &index).unwrap();
    let said = list().fail(119, "cannot read");
    assert!(!said.stderr.contains("--repair"), "{}", said.stderr);
    locald(["store", "verify", "--repair"])
        .home(home.path())
        .fail(119, "cannot read");
    assert!(index.is_symlink());
    fs_err::rename(&kept, &index).unwrap();
    assert_eq!(list().succeed().stdout, before);
    // Without a copy, the images are found, and have names to be renamed.
    remove();
    fs_err::remove_file(store.join("index-copy.json")).unwrap();
    answer(&["store", "verify", "--repair"], home.path());
    let found = list().succeed().stdout;
    assert!(found.contains("recovered/"), "{found}");
    let images = answer(&["image", "ls"], home.path());
    let images = images["images"].as_array().unwrap();
    let app = images.iter().find(|image| image["kind"] == "application");
    let recovered = app.unwrap_or_else(|| panic!("{images:?}"))["name"]
        .as_str()
        .unwrap();
    locald(["image", "tag", recovered, &name])
        .home(home.path())
        .succeed();
    runs(home.path(), &name);
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

#[test]
fn a_user_without_home_has_the_one_of_the_list_of_users() {
    // Only root can be somebody else.
    if !rustix::process::geteuid().is_root() || harness::setting("LOCALD_TEST_MODE") != "in-process"
    {
        return;
    }
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(harness::setting("LOCALD_BIN")).arg("store");
    // The user `nobody` has a home that nobody can make.
    let said = harness::Locald::of(command)
        .without("HOME")
        .without("LOCALD_HOME")
        .without("XDG_DATA_HOME")
        .run();
    assert_ne!(said.code, 0, "{}", said.stdout);
    assert!(said.stderr.contains("/nonexistent"), "{}", said.stderr);
    assert!(!said.stderr.contains("/root"), "{}", said.stderr);
}
