//! `locald build`.

use harness::{App, builder, locald, registry, unique};

use super::{build, digest};

#[test]
fn a_web_application_becomes_an_image_that_is_then_up_to_date() {
    let (app, name) = (App::web(), unique("web"));
    let first = build(&app, &name);
    assert!(!first.stdout.contains("up to date") && !first.stderr.contains("up to date"));
    let before = digest(&name);
    let second = build(&app, &name);
    let said = second.all();
    assert!(said.contains("up to date"), "{said}");
    assert!(said.contains(&before["sha256:".len()..][..12]), "{said}");
    app.write("app.py", "print('other')\n");
    build(&app, &name);
    assert_ne!(digest(&name), before);
}

#[test]
fn cached_layers_are_restored_and_launch_layers_reused() {
    let (app, name) = (App::web(), unique("cached"));
    build(&app, &name);
    app.write("notes.txt", "changed");
    let second = app.build(&name).args(["-v"]);
    let said = second.succeed();
    let said = said.all();
    assert!(said.contains("Reusing the compiled code"), "{said}");
    assert!(
        said.contains("Reusing layer 'demo/python-web:bytecode'"),
        "{said}"
    );
    let cleared = [
        "build",
        &app.text(),
        "-t",
        &name,
        "--builder",
        &builder(),
        "-v",
        "--clear-cache",
    ];
    let said = locald(cleared).succeed();
    let said = said.all();
    assert!(!said.contains("Reusing the compiled code"), "{said}");
}

#[test]
fn ignored_files_do_not_reach_the_image() {
    let (app, name) = (App::probe("ls -A /workspace"), unique("ignored"));
    app.write(".gitignore", "*.secret\n");
    app.write(".dockerignore", "left-out\n");
    app.write("a.secret", "");
    app.write("left-out/file", "");
    app.write("kept", "");
    std::os::unix::fs::symlink("kept", app.path().join("link")).unwrap();
    let said = app.build(&name).args(["-v"]).succeed();
    let said = said.all();
    assert!(said.contains("kept") && said.contains("link"), "{said}");
    assert!(
        !said.contains("a.secret") && !said.contains("left-out"),
        "{said}"
    );
}

#[test]
fn user_environment_reaches_the_buildpacks() {
    let app = App::probe(
        "cat /platform/env/GREETING; test ! -e /platform/env/FROM_FILE || cat /platform/env/FROM_FILE",
    );
    app.write("../variables", "FROM_FILE=from-a-file\n");
    let file = app.outside().join("variables");
    let arguments = [
        "build",
        &app.text(),
        "-t",
        &unique("env"),
        "--builder",
        &builder(),
        "-v",
        "-e",
        "GREETING=hello there",
        "--env-file",
        file.to_str().unwrap(),
    ];
    let said = locald(arguments).succeed();
    let said = said.all();
    assert!(
        said.contains("hello there") && said.contains("from-a-file"),
        "{said}"
    );
}

#[test]
fn the_name_comes_from_the_folder_and_the_builder_from_the_settings() {
    let app = App::web();
    app.write(
        "locald.toml",
        &format!("[build]\nbuilder = \"{}\"\n", builder()),
    );
    locald(["build"]).current_dir(app.path()).succeed();
    assert!(!digest("web").is_empty());
}

#[test]
fn odd_folders_are_built() {
    let app = App::empty("with space ünd");
    app.write("probe.sh", "ls /workspace");
    app.write("dir é/file with space", "x");
    build(&app, &unique("odd"));
}

#[test]
fn a_buildpack_can_be_named_or_given_as_a_folder() {
    let (app, name) = (App::probe("true"), unique("named"));
    let base = [
        "build",
        &app.text(),
        "-t",
        &name,
        "--builder",
        &builder(),
        "-v",
    ];
    let named = locald([&base[..], &["-b", "test/probe@1.0.0"]].concat()).succeed();
    assert!(named.all().contains("test/probe"));
    let own = App::empty("own");
    own.write(
        "buildpack.toml",
        "api = \"0.10\"\n[buildpack]\nid = \"me/own\"\nversion = \"0.1.0\"\n[[stacks]]\nid = \"*\"\n[[targets]]\nos = \"linux\"\n",
    );
    own.write("bin/detect", "#!/bin/sh\n");
    own.write("bin/build", "#!/bin/sh\necho own buildpack here\n");
    for program in ["bin/detect", "bin/build"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o755);
        fs_err::set_permissions(own.path().join(program), mode).unwrap();
    }
    let folder = locald([&base[..], &["-b", &own.text()]].concat()).succeed();
    let said = folder.all();
    assert!(said.contains("own buildpack here"), "{said}");
}

#[test]
fn a_buildpack_can_be_an_image() {
    let (app, name) = (App::empty("plain"), unique("packaged"));
    app.write("file", "");
    let image = format!("docker://{}/test/buildpackage", registry());
    let path = app.text();
    let arguments = [
        "build",
        &path,
        "-t",
        &name,
        "--builder",
        &builder(),
        "-b",
        &image,
    ];
    let said = locald(arguments).succeed();
    let said = said.all();
    assert!(
        said.contains("greetings from the image of a buildpack"),
        "{said}"
    );
    let run = locald(["run", &name]).succeed();
    assert_eq!(run.stdout.trim(), "greetings at launch");
    let again = locald(arguments).succeed();
    let said = again.all();
    assert!(said.contains("up to date"), "{said}");
    let listed = locald(["image", "ls"]).succeed().stdout;
    assert!(listed.contains("test/buildpackage"), "{listed}");
}

#[test]
fn an_image_without_buildpacks_is_no_buildpack() {
    let app = App::web();
    let image = format!("docker://{}/demo/run", registry());
    let path = app.text();
    let arguments = [
        "build",
        &path,
        "-t",
        &unique("no"),
        "--builder",
        &builder(),
        "-b",
        &image,
    ];
    locald(arguments).fail(117, "demo/run is not a buildpack");
}

#[test]
fn publish_uploads_and_others_read_it() {
    let app = App::web();
    let name = format!("{}/{}", registry(), unique("published"));
    let arguments = [
        "build",
        &app.text(),
        "-t",
        &name,
        "--builder",
        &builder(),
        "--publish",
    ];
    locald(arguments).succeed();
    let crane = harness::Reader("crane");
    crane.run(&["validate", "--insecure", "--remote", &name]);
    let remote = crane.run(&["digest", "--insecure", &name]);
    assert_eq!(remote.trim(), digest(&name));
    let raw = harness::Reader("skopeo").run(&[
        "inspect",
        "--tls-verify=false",
        &format!("docker://{name}"),
    ]);
    assert!(raw.contains("io.buildpacks.lifecycle.metadata"));
}

#[test]
fn two_builds_of_one_project_wait_for_each_other() {
    let (app, name) = (App::probe("sleep 1"), unique("twice"));
    let start = || app.build(&name).start();
    let running = [start(), start()];
    for running in running {
        let output = running.wait();
        assert_eq!(output.code, 0, "{}", output.stderr);
    }
}

#[test]
fn different_projects_build_at_once() {
    let apps = [App::web(), App::probe("true"), App::web()];
    let builds: Vec<_> = apps
        .iter()
        .map(|app| app.build(&unique("many")).start())
        .collect();
    for running in builds {
        let output = running.wait();
        assert_eq!(output.code, 0, "{}", output.stderr);
    }
}

#[test]
fn the_creation_time_can_be_set() {
    let (app, name) = (App::web(), unique("created"));
    let arguments = [
        "build",
        &app.text(),
        "-t",
        &name,
        "--builder",
        &builder(),
        "--creation-time",
        "1700000000",
    ];
    locald(arguments).succeed();
    let shown = locald(["image", "inspect", &name, "--json"])
        .succeed()
        .stdout;
    assert!(shown.contains("2023-11-14T22:13:20Z"), "{shown}");
}

#[test]
fn events_are_json_lines() {
    let (app, name) = (App::web(), unique("json"));
    let output = app.build(&name).args(["--json"]).succeed();
    let events = output.json();
    assert!(events.len() > 5, "{events:?}");
    let last = events.last().unwrap().to_string();
    assert!(last.contains("sha256:"), "{last}");
}
