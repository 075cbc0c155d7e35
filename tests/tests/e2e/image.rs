//! `locald image`, `push` and `pull`; and what others read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{App, Fault, FaultProxy, Reader, busybox, locald, registry, unique};

use super::{build, digest};

fn built() -> String {
    let name = unique("image");
    build(&App::web(), &name);
    name
}

#[test]
fn images_are_listed_tagged_and_removed() {
    let (name, other) = (built(), unique("other"));
    let app = App::web();
    app.write("unlike", &other);
    build(&app, &name);
    locald(["image", "tag", &name, &other]).succeed();
    assert_eq!(digest(&name), digest(&other));
    let listed = locald(["image", "ls"]).succeed().stdout;
    assert!(
        listed.contains(&name) && listed.contains(&other),
        "{listed}"
    );
    locald(["image", "rm", &other]).succeed();
    locald(["image", "inspect", &other]).fail(112, &other);
    locald(["image", "inspect", &name]).succeed();
}

#[test]
fn an_image_is_found_by_the_start_of_its_digest() {
    let app = App::web();
    let name = unique("prefix");
    app.write("unlike", &name);
    build(&app, &name);
    let whole = digest(&name);
    assert_eq!(digest(&whole["sha256:".len()..][..12]), whole);
}

#[test]
fn exports_are_read_by_others() {
    let name = built();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (layout, archive, docker) = (path("layout"), path("oci.tar"), path("docker.tar"));
    for target in [
        format!("oci:{layout}"),
        format!("oci-archive:{archive}"),
        format!("docker-archive:{docker}"),
    ] {
        locald(["image", "export", &name, &target]).succeed();
    }
    let skopeo = Reader("skopeo");
    for source in [
        format!("oci:{layout}"),
        format!("oci-archive:{archive}"),
        format!("docker-archive:{docker}"),
    ] {
        let config = skopeo.run(&["inspect", "--config", &source]);
        assert!(config.contains("/cnb/process/web"), "{source}: {config}");
    }
    Reader("crane").run(&["validate", "--tarball", &docker]);
    locald(["image", "export", &name, &format!("oci:{layout}")]).fail(111, "exist");
}

#[test]
fn others_unpack_and_run_the_image() {
    if !rustix::process::geteuid().is_root() {
        // Without subordinate ids neither can set the owners of its files.
        return;
    }
    let name = built();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let layout = path("layout");
    locald(["image", "export", &name, &format!("oci:{layout}")]).succeed();
    let bundle = path("bundle");
    Reader("umoci").run(&["unpack", "--image", &format!("{layout}:latest"), &bundle]);
    let config = directory.path().join("bundle/config.json");
    let text = fs_err::read_to_string(&config).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["process"]["args"][0], "/cnb/process/web");
    document["process"]["args"] = ["/cnb/process/worker"].into();
    document["process"]["terminal"] = false.into();
    // A test may run where limits cannot be raised.
    document["process"]["rlimits"] = serde_json::json!([]);
    fs_err::write(&config, document.to_string()).unwrap();
    let (root, id) = (path("runc"), format!("locald-test-{}", std::process::id()));
    let said = Reader("runc").run(&["--root", &root, "run", "--bundle", &bundle, &id]);
    assert_eq!(said.trim(), "worker");

    let archive = format!("docker-archive:{}", path("docker.tar"));
    locald(["image", "export", &name, &archive]).succeed();
    let (root, runroot) = (path("storage"), path("run"));
    let storage = [
        "--root",
        &root,
        "--runroot",
        &runroot,
        "--storage-driver",
        "vfs",
    ];
    let pulled = Reader("podman").run(&[&storage[..], &["pull", "--quiet", &archive]].concat());
    assert_eq!(pulled.trim().len(), 64, "{pulled}");
}

#[test]
fn a_pushed_image_comes_back_the_same() {
    let name = built();
    let target = format!("{}/{}", registry(), unique("pushed"));
    locald(["push", &name, &target]).succeed();
    let fresh = tempfile::tempdir().unwrap();
    locald(["pull", &target]).home(fresh.path()).succeed();
    let output = locald(["image", "inspect", &target, "--json"])
        .home(fresh.path())
        .succeed();
    assert!(output.stdout.contains(&digest(&name)));
}

#[test]
fn podman_takes_an_image() {
    if !rustix::process::geteuid().is_root() {
        // Without subordinate ids podman cannot set the owners of its files.
        return;
    }
    let name = built();
    let directory = tempfile::tempdir().unwrap();
    let bin = directory.path().join("bin");
    fs_err::create_dir(&bin).unwrap();
    // Podman itself, with storage of the test's own.
    let storage = directory.path().display();
    let podman = ["/usr/bin/podman", "/usr/local/bin/podman"]
        .into_iter()
        .find(|it| std::path::Path::new(it).exists())
        .unwrap();
    let script = format!(
        "#!/bin/sh\nexec {podman} --root {storage}/root --runroot {storage}/run \
         --tmpdir {storage}/tmp --storage-driver vfs \"$@\"\n"
    );
    let own = bin.join("podman");
    fs_err::write(&own, script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(&own, executable).unwrap();
    let path = format!("{}:{}", bin.display(), harness::setting("PATH"));
    let load = || locald(["image", "load", "podman", &name]).env("PATH", &path);
    let loaded = load().succeed();
    assert!(loaded.stdout.contains("podman has"), "{}", loaded.stdout);
    let own = own.to_str().unwrap().to_owned();
    let labels = [&name, "--format", "{{.Config.WorkingDir}}"];
    let listed = Reader("sh").run(&[
        "-c", "\"$@\"", "sh", &own, "image", "inspect", labels[0], labels[1], labels[2],
    ]);
    assert_eq!(listed.trim(), "/workspace");
    // One that takes nothing says why.
    fs_err::write(
        bin.join("podman"),
        "#!/bin/sh\necho no storage >&2\nexit 3\n",
    )
    .unwrap();
    load().fail(121, "`podman load` failed: no storage");
    let empty = locald(["image", "load", "podman", &name]).env("PATH", "/nowhere");
    empty.fail(121, "podman is not installed");
}

#[test]
fn a_built_image_needs_its_registry_no_more() {
    let home = tempfile::tempdir().unwrap();
    let (app, name) = (App::web(), unique("complete"));
    app.build(&name).home(home.path()).succeed();
    // From now on, each question to the registry is counted.
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let proxy = FaultProxy::start(&registry(), move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Fault::None
    });
    let mirror = format!(
        "[registries.\"{}\"]\nmirror = \"http://{}\"\n",
        registry(),
        proxy.address()
    );
    fs_err::write(home.path().join("config.toml"), mirror).unwrap();
    locald(["pull", &busybox()]).home(home.path()).succeed();
    let before = asked.load(Ordering::Relaxed);
    assert!(before > 0);
    let run = [
        "run",
        "--command",
        &name,
        "--",
        "python3",
        "-c",
        "print(6*7)",
    ];
    let output = locald(run).home(home.path()).succeed();
    assert_eq!(output.stdout, "42\n");
    let layout = format!("oci:{}", home.path().join("layout").display());
    locald(["image", "export", &name, &layout])
        .home(home.path())
        .succeed();
    assert_eq!(asked.load(Ordering::Relaxed), before);
}
