//! What of a project is built, and what its own files cannot bring about.

use std::os::unix::fs::symlink;

use harness::{App, builder, locald, unique};

#[test]
fn a_variable_is_no_path() {
    let app = App::probe("true");
    let build = |more: &[&str]| {
        let (text, builder) = (app.text(), builder());
        let command = ["build", &text, "-B", &builder];
        locald([&command[..], more].concat())
    };
    build(&["-e", "../../../../x=1"])
        .fail(111, "--env: the variable name \"../../../../x\" holds '/'");
    build(&["-e", "..=1"]).fail(111, "--env: a variable cannot be called \"..\"");
    app.write("x.env", "A=1\n/etc/x=1\n");
    let file = format!("{}/x.env", app.text());
    build(&["--env-file", &file]).fail(111, "x.env:2: the variable name \"/etc/x\" holds '/'");
    app.write("locald.toml", "[build.env]\n\"a/b\" = \"1\"\n");
    build(&[]).fail(111, "locald.toml:2: the variable name \"a/b\" holds '/'");
    app.write("locald.toml", "");
    let variable = "[[io.buildpacks.build.env]]\nname = \"../../x\"\nvalue = \"1\"\n";
    app.write(
        "project.toml",
        &format!("[_]\nschema-version = \"0.2\"\n{variable}"),
    );
    build(&[]).fail(
        111,
        "project.toml:4: the variable name \"../../x\" holds '/'",
    );
}

#[test]
fn a_projects_files_name_nothing_outside_of_it() {
    let app = App::probe("true");
    let secret = app.outside().join("secret");
    fs_err::create_dir(&secret).unwrap();
    fs_err::write(secret.join("buildpack.toml"), "").unwrap();
    let up = |text: String| {
        app.write("locald.toml", &text);
        locald(["up"]).current_dir(app.path())
    };
    let service = |folder: &str| format!("[services.web]\nworkdir = {folder:?}\n");
    let said = format!(
        "service `web`: ../secret is {}, outside of",
        secret.display()
    );
    up(service("../secret")).fail(111, &said);
    up(service(secret.to_str().unwrap())).fail(111, "outside of");
    symlink("../secret", app.path().join("link")).unwrap();
    let output = up(service("link")).fail(111, "outside of");
    assert!(output.stderr.contains("[trust]"), "{}", output.stderr);
    let buildpack = "[build]\nbuildpacks = [\"../secret\"]\n";
    up(format!("{buildpack}[services.web]\n")).fail(111, "buildpack \"../secret\":");
    let buildpack = "[services.web.build]\nbuildpacks = [\"./link\"]\n";
    up(buildpack.to_owned()).fail(111, "buildpack \"./link\":");
    let registry = "[registries.\"r.example\"]\nca = \"../secret/buildpack.toml\"\n";
    up(registry.to_owned()).fail(111, "outside of");
}

#[test]
fn devices_and_fifos_are_no_settings() {
    let app = App::probe("true");
    let (text, builder) = (app.text(), builder());
    for name in ["locald.toml", "project.toml"] {
        let path = app.path().join(name);
        symlink("/dev/zero", &path).unwrap();
        locald(["build", &text, "-B", &builder]).fail(111, name);
        fs_err::remove_file(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        locald(["build", &text, "-B", &builder]).fail(111, "neither a regular file nor");
        fs_err::remove_file(&path).unwrap();
    }
    locald(["build", &text, "-B", &builder, "-t", &unique("regular")]).succeed();
}

/// Files that a build sees, without those of the probe.
fn files(output: &harness::Output) -> Vec<String> {
    let said = output.all();
    let names = said
        .lines()
        .filter_map(|line| Some(line.split_once("FILE ./")?.1.trim().to_owned()));
    let mut names: Vec<String> = names.filter(|name| name != "probe.sh").collect();
    names.sort();
    names
}

/// Names each file that is there.
const LIST: &str = "find . ! -type d -exec echo FILE {} \\;\n";

fn listed(app: &App, folder: &str) -> Vec<String> {
    let folder = app.path().join(folder);
    fs_err::write(folder.join("probe.sh"), LIST).unwrap();
    let (folder, name) = (folder.to_str().unwrap(), unique("listed"));
    files(&locald(["build", folder, "-v", "-B", &builder(), "-t", &name]).succeed())
}

#[test]
fn ignored_files_are_in_no_image() {
    let app = App::empty("repository");
    fs_err::create_dir(app.path().join(".git")).unwrap();
    let bytes = |path: &str, bytes: &[u8]| {
        app.write(path, "");
        fs_err::write(app.path().join(path), bytes).unwrap();
    };
    // Neither the encoding of a comment nor the place of a file hides a rule.
    bytes(
        ".gitignore",
        b"# caf\xe9\n.env\nnode_modules\nlog[[:digit:]]\n",
    );
    for path in [
        "api/.env",
        "api/node_modules/x",
        "api/log1",
        "api/app",
        "api/deep/.env",
    ] {
        app.write(path, "");
    }
    bytes(
        "api/.dockerignore",
        b"\xef\xbb\xbfsecret\n# \xe9\nx/../hidden\n*.txt\n!**/keep.txt\n{a}\n",
    );
    for path in [
        "api/secret",
        "api/hidden",
        "api/a.txt",
        "api/keep.txt",
        "api/a",
    ] {
        app.write(path, "");
    }
    assert_eq!(
        listed(&app, "api"),
        [".dockerignore", "a", "app", "keep.txt"]
    );
    bytes("api/.dockerignore", b"\xff\xfes\0e\0c\0");
    let api = app.path().join("api");
    let api = api.to_str().unwrap();
    locald(["build", api, "-B", &builder()]).fail(118, ".dockerignore:1: it is UTF-16");
    fs_err::remove_file(app.path().join("api/.dockerignore")).unwrap();
    fs_err::create_dir(app.path().join("api/.dockerignore")).unwrap();
    locald(["build", api, "-B", &builder()]).fail(118, ".dockerignore");
}

#[test]
fn what_git_ignores_can_be_built() {
    let app = App::probe(LIST);
    for path in ["dist/app.jar", "src/x", "node_modules/y"] {
        app.write(path, "");
    }
    app.write(".gitignore", "dist\nnode_modules\n");
    let (text, builder) = (app.text(), builder());
    let built = |more: &[&str]| {
        let name = unique("ignored");
        let command = ["build", &text, "-v", "-B", &builder, "-t", &name];
        files(&locald([&command[..], more].concat()).succeed())
    };
    assert_eq!(built(&[]), [".gitignore", "src/x"]);
    let all = [".gitignore", "dist/app.jar", "node_modules/y", "src/x"];
    assert_eq!(built(&["--no-gitignore"]), all);
    let include = ["--include", "dist/", "--include", "/probe.sh"];
    assert_eq!(built(&include), ["dist/app.jar"]);
    app.write("locald.toml", "[build]\ngitignore = false\n");
    assert!(built(&[]).contains(&"dist/app.jar".to_owned()));
}

#[test]
fn a_home_is_no_source_and_locald_is_in_none() {
    let app = App::probe(LIST);
    let (text, builder) = (app.text(), builder());
    app.write("a", "");
    let home = app.path().join(".local");
    let build = |more: &[&str]| {
        let name = unique("home");
        let command = ["build", &text, "-v", "-B", &builder, "-t", &name];
        locald([&command[..], more].concat())
            .env("HOME", &text)
            .home(&home)
    };
    let output = build(&[]).fail(118, "contains your whole home folder");
    assert!(output.stderr.contains("--yes"), "{}", output.stderr);
    assert_eq!(files(&build(&["--yes"]).succeed()), ["a"]);
}
