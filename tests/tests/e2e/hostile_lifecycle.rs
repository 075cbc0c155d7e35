//! A builder whose lifecycle is as hostile as its buildpack, and an account
//! that none of the phases may find.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use harness::{App, PrivateRegistry, locald, registry, shared_home, unique};
use serde_json::json;

use super::hostile::{ATTEMPTS, Hostile, allowed, assert_nothing_gained, outcomes};
use super::{build, digest};

const REQUESTS: &str = include_str!("../../fixtures/hostile/requests.py");
const PASSWORD: &str = "canary-password-93b5e7";
/// What the registry of a build answers to requests that are not its business.
const REFUSED: [(&str, &str); 13] = [
    ("request another project's image", "403"),
    ("request another project's manifest as its own", "404"),
    ("request another project's blob", "403"),
    ("request another project's blob as its own", "404"),
    ("push over another project's tag", "403"),
    ("push a blob to another project", "403"),
    ("push to the run image", "403"),
    ("push a blob to the run image", "403"),
    ("push another tag of its own image", "400"),
    ("push another project's blob as its own", "400"),
    // An upload is begun instead of it.
    ("mount another project's blob", "202"),
    ("delete its own image", "405"),
    ("list all images", "404"),
];

/// Puts a layer over the demo builder in which the phases that speak to the
/// registry first run the hostile programs.
fn hostile_builder(hostile: &Hostile, wanted: &serde_json::Value) -> String {
    let layer = App::empty("layer");
    for (phase, program) in [
        ("analyze", "analyzer"),
        ("restore", "restorer"),
        ("export", "exporter"),
    ] {
        let path = format!("cnb/lifecycle/{program}");
        let script = format!(
            "#!/bin/sh\n(cd /hostile && python3 attempts.py {phase} && python3 requests.py) || exit\n\
             exec /hostile/{program} \"$@\"\n"
        );
        layer.write(&path, &script);
        let mode = std::fs::Permissions::from_mode(0o755);
        fs_err::set_permissions(layer.path().join(path), mode).unwrap();
        layer.write("hostile/wanted.json", &wanted.to_string());
        // It is known by its name.
        let link = layer.path().join("hostile").join(program);
        fs_err::os::unix::fs::symlink("/cnb/lifecycle/lifecycle", link).unwrap();
    }
    layer.write("hostile/attempts.py", ATTEMPTS);
    layer.write("hostile/requests.py", REQUESTS);
    let bait = fs_err::read_to_string(hostile.app.path().join("bait.json")).unwrap();
    layer.write("hostile/bait.json", &bait);
    let archive = layer.outside().join("layer.tar");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {error}");
    };
    let (archive, root) = (archive.to_str().unwrap(), layer.text());
    let owner = ["--owner=0", "--group=0", "--mode=go+rX"];
    let tar = ["-cf", archive, "-C", &root, "cnb", "hostile"];
    run("tar", &[&owner[..], &tar].concat());
    let name = format!("{}/{}", registry(), unique("hostile-builder"));
    let (base, append) = (harness::builder(), ["append", "--insecure", "-b"]);
    run(
        "crane",
        &[&append[..], &[&base, "-f", archive, "-t", &name]].concat(),
    );
    name
}

/// What there is to be had of another project's image.
fn wanted(own: &str, other: &str) -> serde_json::Value {
    let inspected = locald(["image", "inspect", other, "--json"]).succeed();
    let inspected: serde_json::Value = serde_json::from_str(inspected.stdout.trim()).unwrap();
    let digest = inspected["digest"].as_str().unwrap();
    let blob = |digest: &str| {
        let path = shared_home().join("store/blobs/sha256");
        fs_err::read(path.join(digest.trim_start_matches("sha256:"))).unwrap()
    };
    let manifest: serde_json::Value = serde_json::from_slice(&blob(digest)).unwrap();
    json!({
        "own": own,
        "other": format!("index.docker.io/{other}"),
        "run": format!("{}/demo/run", registry()),
        "digest": digest,
        "blob": manifest["config"]["digest"],
        "size": manifest["config"]["size"],
    })
}

/// Files of locald's that hold a text, layers of images aside.
fn files_with(texts: &[&str]) -> String {
    let mut command = Command::new("grep");
    command.args(["-rlF", "--exclude-dir=layers"]);
    for text in texts {
        command.args(["-e", text]);
    }
    let output = command.arg(shared_home()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_hostile_lifecycle_finds_no_account_and_no_image_of_others() {
    let other = unique("other");
    build(&App::web(), &other);
    let before = digest(&other);
    let private = PrivateRegistry::start(PASSWORD);
    let own = format!("{}/own", private.address());
    // `me:` and the password, as docker and the wire have it.
    let encoded = "bWU6Y2FuYXJ5LXBhc3N3b3JkLTkzYjVlNw==";
    let secrets = [PASSWORD, encoded];
    let hostile = Hostile::new(&secrets);
    let builder = hostile_builder(&hostile, &wanted(&own, &other));

    let docker = tempfile::tempdir().unwrap();
    let auths = json!({"auths": {private.address(): {"auth": encoded}}});
    fs_err::write(docker.path().join("config.json"), auths.to_string()).unwrap();
    let publish = |options: &[&str]| {
        let options = [&["--publish"], options].concat();
        let build = hostile.build_with(&builder, &own, &options);
        build.env("DOCKER_CONFIG", docker.path().to_str().unwrap())
    };
    let built = publish(&[]).succeed();
    let said = built.all();

    let runs = outcomes(&said);
    assert_eq!(runs.len(), 5, "each phase tries: {said}");
    for (number, run) in runs.into_iter().enumerate() {
        let (mut attempts, mut requests) = (run.clone(), run);
        attempts.retain(|name, _| !REFUSED.iter().any(|(known, _)| known == name));
        requests.retain(|name, _| !attempts.contains_key(name));
        let builders_own = allowed("write /var/x")[0];
        let of_the_builder = [
            ("write /platform/env/X", builders_own),
            ("write its own buildpack", builders_own),
        ];
        match number {
            // Detect and build, where the buildpack's programs run.
            1 => assert_nothing_gained(&attempts, &[]),
            3 => assert_nothing_gained(&attempts, &super::hostile::SHARED),
            _ => {
                assert_nothing_gained(&attempts, &of_the_builder);
                let refused = REFUSED.map(|(name, code)| (name.to_owned(), code.to_owned()));
                assert_eq!(requests, refused.into_iter().collect());
            }
        }
    }
    assert_eq!(digest(&other), before);
    hostile.app.write("changed", "");
    let traced = publish(&["--clear-cache"]).env("LOCALD_LOG", "trace");
    let traced = traced.succeed();
    let log = traced.all();
    assert!(log.contains("TRACE"), "{log}");
    for secret in secrets {
        assert!(!said.contains(secret), "the account is in what is said");
        assert!(!log.contains(secret), "the account is in the log");
    }
    assert_eq!(files_with(&secrets), "");
    // The search finds what is there.
    assert_ne!(files_with(&[&before]), "");
}
