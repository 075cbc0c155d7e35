//! project.toml: buildpacks in it, and around those of the builder.

use std::path::Path;

use harness::{App, Output, builder, locald, unique};

/// A project.toml of the second schema.
fn descriptor(app: &App, text: &str) {
    let text = format!("[_]\nschema-version = \"0.2\"\n{text}");
    app.write("project.toml", &text);
}

/// An inline buildpack that says its name, of a list.
fn inline(list: &str, id: &str) -> String {
    let script = format!("{{ api = \"0.10\", inline = \"echo SAYS {id}\" }}");
    format!("[[io.buildpacks.{list}]]\nid = \"{id}\"\nscript = {script}\n")
}

fn build(app: &App, name: &str, more: &[&str]) -> Output {
    let (text, builder) = (app.text(), builder());
    let command = ["build", &text, "-v", "-B", &builder, "-t", name];
    locald([&command[..], more].concat()).succeed()
}

/// What inline buildpacks, and the probe, said.
fn said(output: &Output) -> Vec<String> {
    let text = output.all();
    let said = text.lines().filter_map(|line| line.split_once("SAYS "));
    said.map(|(_, words)| words.trim().to_owned()).collect()
}

/// The buildpacks of an image, in their order.
fn buildpacks(name: &str) -> Vec<String> {
    let shown = locald(["image", "inspect", name, "--json"]).succeed();
    let shown: serde_json::Value = serde_json::from_str(shown.stdout.trim()).unwrap();
    let label = &shown["config"]["config"]["Labels"]["io.buildpacks.build.metadata"];
    let label = label.as_str().unwrap_or_else(|| panic!("{shown}"));
    let metadata: serde_json::Value = serde_json::from_str(label).unwrap();
    let listed = metadata["buildpacks"].as_array().unwrap();
    let name = |it: &serde_json::Value| {
        format!(
            "{}@{}",
            it["id"].as_str().unwrap(),
            it["version"].as_str().unwrap()
        )
    };
    listed.iter().map(name).collect()
}

#[test]
fn a_script_in_the_descriptor_is_a_buildpack() {
    let (app, name) = (App::empty("inline"), unique("inline"));
    descriptor(
        &app,
        r#"
[[io.buildpacks.group]]
id = "me/greeting"
[io.buildpacks.group.script]
api = "0.10"
shell = "/bin/bash -e"
inline = """
[[ $BASH_VERSION ]]
cat >$CNB_LAYERS_DIR/launch.toml <<TOML
[[processes]]
type = "web"
command = ["echo", "from a script"]
default = true
TOML
"""
"#,
    );
    build(&app, &name, &[]);
    assert_eq!(buildpacks(&name), ["me/greeting@0.0.0"]);
    let run = locald(["run", &name]).succeed();
    assert_eq!(run.stdout.trim(), "from a script");
    let again = build(&app, &name, &[]);
    let text = again.all();
    assert!(text.contains("up to date"), "{text}");
    descriptor(&app, &inline("group", "me/greeting"));
    assert_eq!(said(&build(&app, &name, &[])), ["me/greeting"]);
}

#[test]
fn buildpacks_go_around_each_group_of_the_builder() {
    let (app, name) = (App::probe("echo SAYS probe"), unique("around"));
    let lists = [
        inline("pre.group", "me/first"),
        inline("pre.group", "me/second"),
        inline("post.group", "me/last"),
    ];
    descriptor(&app, &lists.concat());
    let output = build(&app, &name, &[]);
    // As with pack, each is put before those that are there already.
    assert_eq!(said(&output), ["me/second", "me/first", "probe", "me/last"]);
    let own = App::empty("own");
    buildpack(own.path(), "me/own");
    let own = own.text();
    let output = build(&app, &name, &["--pre-buildpack", &own]);
    assert_eq!(said(&output), ["me/own", "probe", "me/last"]);
    let flags = ["-b", "test/probe", "--post-buildpack", &own];
    let output = build(&app, &name, &flags);
    assert_eq!(said(&output), ["me/second", "me/first", "probe", "me/own"]);
}

/// Writes a buildpack that says its name.
fn buildpack(folder: &Path, id: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let toml = format!(
        "api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"1\"\n[[stacks]]\nid = \"*\"\n"
    );
    fs_err::write(folder.join("buildpack.toml"), toml).unwrap();
    fs_err::create_dir(folder.join("bin")).unwrap();
    for (program, script) in [
        ("detect", String::new()),
        ("build", format!("echo SAYS {id}")),
    ] {
        let path = folder.join("bin").join(program);
        fs_err::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_descriptor_elsewhere_is_used_instead() {
    let (app, name) = (App::probe("echo SAYS probe"), unique("elsewhere"));
    descriptor(&app, "this is = no toml");
    let other = App::empty("other");
    fs_err::create_dir(other.path().join("mine")).unwrap();
    buildpack(&other.path().join("mine"), "me/mine");
    descriptor(&other, "[[io.buildpacks.post.group]]\nuri = \"mine\"\n");
    let file = other.path().join("project.toml");
    let output = build(&app, &name, &["--descriptor", file.to_str().unwrap()]);
    assert_eq!(said(&output), ["probe", "me/mine"]);
    let missing = other.path().join("missing.toml");
    let command = ["build", &app.text(), "-d", missing.to_str().unwrap()];
    locald(command).fail(111, "missing.toml cannot be read");
}

#[test]
fn what_is_wrong_with_a_descriptor_is_one_error() {
    let app = App::probe("true");
    let refused = |text: &str, words: &str| {
        descriptor(&app, text);
        locald(["build", &app.text(), "-B", &builder()]).fail(111, words)
    };
    refused(
        "[[io.buildpacks.group]]\nid = \"me/x\"\nscript = { inline = \"x\" }",
        "the inline buildpack `me/x` has no `api`",
    );
    refused(
        &inline("group", "../../x"),
        "the inline buildpack `../../x` has an `id` or `version` that is not a valid folder name",
    );
    let many = "[[io.buildpacks.post.group]]\nid = \"test/probe\"\n".repeat(10_000);
    refused(&many, "10000 buildpacks are named for one build");
    let twice = [
        inline("pre.group", "me/x"),
        inline("post.group", "me/x").replace("SAYS", "says"),
    ];
    refused(
        &twice.concat(),
        "two different buildpacks are called me_x/0.0.0",
    );
    descriptor(&app, "[[io.buildpacks.pre.group]]\nid = \"no/such\"");
    let build = locald(["build", &app.text(), "-B", &builder()]);
    build.fail(117, "has no buildpack no/such");
}

#[test]
fn unknown_keys_are_warned_of() {
    let (app, name) = (App::probe("true"), unique("unknown"));
    descriptor(
        &app,
        "name = \"shop\"\ncolour = \"blue\"\n[io.buildpacks]\nbuidler = \"x\"\n[com.example]\nx = 1\n",
    );
    let output = build(&app, &name, &[]);
    for key in ["_.colour", "io.buildpacks.buidler"] {
        let words = format!("project.toml: the key `{key}` is unknown");
        assert!(output.stderr.contains(&words), "{}", output.stderr);
    }
    assert!(!output.stderr.contains("com.example"), "{}", output.stderr);
}
