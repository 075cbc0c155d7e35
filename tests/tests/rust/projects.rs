//! Shapes of projects.

use harness::{CargoProject, GitServer, builder, compiled, locald, run};

/// The bill of materials of an image, by the layer that holds it.
fn sbom(project: &CargoProject) -> serde_json::Value {
    let find = "cat /layers/sbom/launch/*/sbom.cdx.json";
    serde_json::from_str(&project.shell(find)).unwrap()
}

#[test]
fn a_workspace_with_a_macro_build_scripts_and_three_binaries() {
    let project = CargoProject::empty("workspace");
    let manifest = |name: &str, rest: &str| {
        let text = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}"
        );
        project.app.write(&format!("{name}/Cargo.toml"), &text);
    };
    let members = "[workspace]\nmembers = [\"api\", \"macros\", \"tool\", \"worker\"]\nresolver = \"3\"\n\
                   [workspace.metadata.locald]\nweb = \"api\"\ninclude = [\"assets\"]\n";
    project.app.write("Cargo.toml", members);
    manifest("macros", "[lib]\nproc-macro = true\n");
    let answer = "use proc_macro::TokenStream;\n#[proc_macro]\npub fn answer(_: TokenStream) -> TokenStream { \"42\".parse().unwrap() }\n";
    project.app.write("macros/src/lib.rs", answer);
    for name in ["api", "tool", "worker"] {
        manifest(name, "[dependencies]\nmacros = { path = \"../macros\" }\n");
        let main = format!(
            "fn main() {{ println!(\"{name} {{}} {{}}\", macros::answer!(), env!(\"BUILT\")); }}"
        );
        project.app.write(&format!("{name}/src/main.rs"), &main);
        let script = "fn main() { println!(\"cargo::rustc-env=BUILT=by-script\"); }";
        project.app.write(&format!("{name}/build.rs"), script);
    }
    project.app.write("assets/page.html", "page");
    project.lock();
    project.build(&[]);
    assert_eq!(project.run(&[]).stdout, "api 42 by-script\n");
    assert_eq!(project.run(&["worker"]).stdout, "worker 42 by-script\n");
    // Neither source nor anything else is in the image.
    let files = project.shell("find /workspace -type f; ls /layers /layers/locald_rust; du -s /layers/locald_rust | cut -f1");
    let lines: Vec<&str> = files.lines().collect();
    assert_eq!(
        lines[..lines.len() - 1].join(" "),
        "/workspace/assets/page.html /layers: config locald_rust sbom  /layers/locald_rust: programs"
    );
    assert!(
        lines[lines.len() - 1].parse::<u64>().unwrap() < 2048,
        "{files}"
    );
}

/// A library in a git repository of its own.
fn repository() -> CargoProject {
    let library = CargoProject::empty("library");
    library.app.write("Cargo.toml", "[package]\nname = \"library\"\nversion = \"0.3.0\"\nedition = \"2021\"\nlicense = \"MIT\"\n");
    library.app.write(
        "src/lib.rs",
        "pub fn text() -> &'static str { \"from git\" }\n",
    );
    let git = |arguments: &[&str]| run(library.app.path(), "git", arguments);
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    let author = ["-c", "user.name=a", "-c", "user.email=a@b"];
    git(&[&author[..], &["commit", "--quiet", "-m", "first"]].concat());
    library
}

#[test]
fn git_and_vendored_dependencies_and_the_bill_of_materials() {
    let library = repository();
    let dependency = format!(
        "library = {{ git = \"file://{}\" }}\nitoa = \"1\"\n",
        library.app.text()
    );
    let main = "fn main() { println!(\"{} {}\", library::text(), itoa::Buffer::new().format(1)); }";
    let project = CargoProject::new("vendored", &dependency, main);
    // What is vendored needs neither repository nor network.
    let configuration = project.cargo(&["vendor"]);
    project.app.write(".cargo/config.toml", &configuration);
    project.build(&["--network", "none"]);
    assert_eq!(project.run(&[]).stdout, "from git 1\n");
    let document = sbom(&project);
    let components = document["components"].as_array().unwrap();
    let find = |name: &str| components.iter().find(|it| it["name"] == name).unwrap();
    let itoa = find("itoa");
    let version = itoa["version"].as_str().unwrap();
    assert_eq!(itoa["purl"], format!("pkg:cargo/itoa@{version}"));
    assert_eq!(itoa["licenses"][0]["expression"], "MIT OR Apache-2.0");
    assert_eq!(itoa["hashes"][0]["content"].as_str().unwrap().len(), 64);
    let purl = find("library")["purl"].as_str().unwrap();
    assert!(
        purl.starts_with("pkg:cargo/library@0.3.0?vcs_url=file://"),
        "{purl}"
    );
}

#[test]
fn a_git_dependency_is_fetched_once() {
    let library = repository();
    let server = GitServer::start(library.app.outside());
    let dependency = format!("library = {{ git = \"{}/library\" }}", server.url());
    let main = "fn main() { println!(\"{}\", library::text()); }";
    let project = CargoProject::new("from-git", &dependency, main);
    project.lock();
    let said = project.build(&[]);
    assert_eq!(compiled(&said), ["library", "from-git"], "{said}");
    assert_eq!(project.run(&[]).stdout, "from git\n");
    drop(server);
    let said = project.build(&["--force", "--network", "none"]);
    assert_eq!(compiled(&said), [""; 0], "{said}");
}

#[test]
fn an_application_of_the_crates_registry() {
    let name = "ripgrep";
    let fetched = CargoProject::new("fetched", "ripgrep = \"=14.1.1\"", "fn main() {}");
    fetched.cargo(&["vendor", "--quiet"]);
    // As it was published, with its own Cargo.lock.
    let published = fetched.app.path().join("vendor").join(name);
    let project = CargoProject::empty(name);
    run(&published, "cp", &["-r", ".", &project.app.text()]);
    // Without optimisation, which takes a minute.
    project.build(&["-e", "BP_CARGO_PROFILE=dev"]);
    let version = project.run(&["rg", "--", "--version"]).stdout;
    assert!(version.starts_with("ripgrep 14.1.1"), "{version}");
}

#[test]
fn a_private_network_is_enough_for_crates() {
    let main = "fn main() { println!(\"{}\", itoa::Buffer::new().format(7)); }";
    let project = CargoProject::new("private", "itoa = \"1\"", main);
    project.lock();
    project.build(&["--network", "private"]);
    assert_eq!(project.run(&[]).stdout, "7\n");
}

#[test]
fn settings_choose_features_profile_and_examples() {
    let project = CargoProject::empty("chosen");
    let manifest = "[package]\nname = \"chosen\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    [features]\nloud = []\n[package.metadata.locald]\nexamples = [\"demo\"]\n";
    project.app.write("Cargo.toml", manifest);
    project.app.write("src/lib.rs", "");
    let main =
        "fn main() { println!(\"{} {}\", cfg!(feature = \"loud\"), cfg!(debug_assertions)); }";
    project.app.write("examples/demo.rs", main);
    project.lock();
    project.build(&[]);
    assert_eq!(project.run(&[]).stdout, "false false\n");
    project.build(&["-e", "BP_CARGO_FEATURES=loud", "-e", "BP_CARGO_PROFILE=dev"]);
    assert_eq!(project.run(&["demo"]).stdout, "true true\n");
}

#[test]
fn what_a_builder_has_itself_wins_and_the_embedded_one_can_be_left_out() {
    // The probe of the builder takes what has a probe.sh.
    let project = CargoProject::new("both", "", "fn main() {}").with_builder(builder());
    project.lock();
    project.app.write("probe.sh", "echo the probe builds");
    let said = project.build(&[]);
    assert!(said.contains("the probe builds"), "{said}");
    fs_err::remove_file(project.app.path().join("probe.sh")).unwrap();
    let without = ["--no-embedded-buildpacks"];
    project
        .locald(&without)
        .fail(20, "no buildpack can build this source");
    project
        .app
        .write("locald.toml", "[build]\nembedded = false\n");
    project
        .locald(&[])
        .fail(20, "no buildpack can build this source");
    let named = [
        "build",
        &project.app.text(),
        "-b",
        "locald/rust",
        "--builder",
        &harness::rust_builder(),
        "-t",
        project.image(),
    ];
    let named = named.map(str::to_owned);
    project.app.write("locald.toml", "");
    locald(&named).succeed();
}
