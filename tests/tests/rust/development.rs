//! `locald shell` in a Cargo project.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use harness::{CargoProject, FileServer, Gate, builder, compiled, locald, setting};

/// Its script watches nothing: it runs again whenever a file of the package has
/// another time.
fn project(name: &str) -> CargoProject {
    let main = "fn main() { println!(\"{} first\", itoa::Buffer::new().format(7)); }\n\
                #[test]\nfn works() {}\n";
    let project = CargoProject::new(name, "itoa = \"1\"", main);
    project.app.write("build.rs", "fn main() {}");
    project.lock();
    project
}

fn change(project: &CargoProject, from: &str, to: &str) {
    let path = project.app.path().join("src/main.rs");
    let text = fs_err::read_to_string(path).unwrap();
    project.app.write("src/main.rs", &text.replace(from, to));
}

#[test]
fn shell_and_build_compile_nothing_that_the_other_has_compiled() {
    let project = project("shared");
    project.app.write("target/of-the-host", "");
    project.build(&[]);
    let release = ["cargo", "build", "--release"];
    let said = project.develop(&release);
    assert!(said.contains("Finished"), "{said}");
    assert_eq!(compiled(&said), [""; 0], "{said}");
    change(&project, "first", "second");
    let said = project.develop(&release);
    assert_eq!(compiled(&said), ["shared"], "{said}");
    let said = project.build(&[]);
    assert_eq!(compiled(&said), [""; 0], "{said}");
    assert_eq!(project.run(&[]).stdout, "7 second\n");

    let said = project.develop(&["cargo", "test"]);
    assert!(said.contains("test works ... ok"), "{said}");
    let files = fs_err::read_dir(project.app.path().join("target")).unwrap();
    assert_eq!(
        files.count(),
        1,
        "the host's own target directory is another"
    );

    project.develop(&["touch", "made"]);
    let owner = fs_err::metadata(project.app.path().join("made"))
        .unwrap()
        .uid();
    assert_eq!(owner, rustix::process::geteuid().as_raw());
}

#[test]
fn a_shell_has_the_toolchain_that_was_fetched_and_its_components() {
    let dist = setting("LOCALD_TEST_RUST_DIST").into();
    let server = FileServer::start(vec![dist]);
    let variable = format!("RUSTUP_DIST_SERVER={}", server.url());
    let arguments = ["-e", &variable];
    let project = project("clippy").with_builder(builder());
    let toolchain = "[toolchain]\nchannel = \"stable\"\ncomponents = [\"clippy\", \"rustfmt\"]\n";
    project.app.write("rust-toolchain.toml", toolchain);
    project.build(&arguments);
    let unchanged = project.build(&arguments);
    assert!(unchanged.contains("up to date"), "{unchanged}");
    let said = project.develop(&["cargo", "build", "--release"]);
    assert!(said.contains("Finished"), "{said}");
    assert_eq!(compiled(&said), [""; 0], "{said}");
    change(
        &project,
        "fn works() {}",
        "fn works() { let x = 1; let x = x; assert_eq!(x, 1); }",
    );
    let said = project.develop(&["cargo", "clippy", "--all-targets"]);
    assert!(
        said.contains("redundant redefinition of a binding `x`"),
        "{said}"
    );
    project.develop(&["cargo", "fmt"]);
    let main = fs_err::read_to_string(project.app.path().join("src/main.rs")).unwrap();
    assert!(main.contains("\n    let x = 1;\n"), "{main}");
}

#[test]
fn rust_analyzer_understands_the_project_in_a_shell() {
    let dist = PathBuf::from(setting("LOCALD_TEST_RUST_DIST"));
    let manifest = fs_err::read_to_string(dist.join("dist/channel-rust-stable.toml")).unwrap();
    if !manifest.contains("rust-analyzer") {
        // It takes long to build: see `scripts/test --all`.
        return;
    }
    let server = FileServer::start(vec![dist]);
    let variable = format!("RUSTUP_DIST_SERVER={}", server.url());
    let project = project("analyzed").with_builder(builder());
    let toolchain = "[toolchain]\nchannel = \"stable\"\ncomponents = [\"rust-analyzer\"]\n";
    project.app.write("rust-toolchain.toml", toolchain);
    project.build(&["-e", &variable]);
    change(
        &project,
        "fn works() {}",
        "fn works() { let x: u8 = \"x\"; }",
    );
    let said = project.develop(&["sh", "-c", "rust-analyzer diagnostics . || true"]);
    assert!(said.contains("E0308"), "{said}");
}

/// `[unstable]` is Cargo's table of what is not the default yet, and the
/// variable lets a stable Cargo read it.
const NEW_LAYOUT: &str = "[unstable]\nbuild-dir-new-layout = true\n";
const UNSTABLE: [&str; 2] = ["-e", "RUSTC_BOOTSTRAP=1"];

fn edited_while_a_build_runs(project: &CargoProject, variables: &[&str]) {
    let gate = Gate::new();
    let script = "use std::io::Read as _;\nfn main() { let gate = std::net::TcpStream::connect(env!(\"GATE\"));\n\
                  if let Ok(mut gate) = gate { let _ = gate.read(&mut [0]); } }";
    project.app.write("build.rs", script);
    let variable = format!("GATE=127.0.0.1:{}", gate.port());
    let variables = [&["-e", &variable], variables].concat();
    let building = project.locald(&variables).start();
    let waiting = gate.await_program();
    change(project, "first", "second");
    drop(waiting);
    assert_eq!(building.wait().code, 0);
    assert_eq!(project.run(&[]).stdout, "7 first\n");
    drop(gate);
    let folder = project.app.text();
    let cargo = ["--", "cargo", "run", "--release"];
    let run = [&["shell", &folder], &variables[..], &cargo].concat();
    assert_eq!(locald(run).succeed().stdout, "7 second\n");
}

#[test]
fn what_was_edited_while_a_build_ran_is_compiled_by_a_shell() {
    edited_while_a_build_runs(&project("edited"), &[]);
}

#[test]
fn the_layout_of_target_directories_of_newer_cargos_is_kept_and_swept_too() {
    let project = project("layout");
    project.app.write(".cargo/config.toml", NEW_LAYOUT);
    edited_while_a_build_runs(&project, &UNSTABLE);
    let script = "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); }";
    project.app.write("build.rs", script);
    let said = project.build(&UNSTABLE);
    assert_eq!(compiled(&said), ["layout"], "{said}");
    let unchanged = project.build(&[&UNSTABLE[..], &["--force"]].concat());
    assert_eq!(compiled(&unchanged), [""; 0], "{unchanged}");
    let units =
        "cd $CARGO_TARGET_DIR/release && ls -d build/*/*/fingerprint && ! ls -d .fingerprint";
    let said = project.develop(&["sh", "-c", units]);
    // Of the dependency, the program, its script, and the run of that.
    assert_eq!(said.matches("/fingerprint").count(), 4, "{said}");
}

#[test]
fn clearing_the_cache_leaves_a_running_shell_its_own() {
    let project = project("cleared");
    project.build(&[]);
    let gate = Gate::new();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{} && read -u 3; cargo build --release --offline",
        gate.port()
    );
    let folder = project.app.text();
    let shell = locald(["shell", &folder, "--", "bash", "-c", &script]).start();
    let waiting = gate.await_program();
    let said = project.build(&["--clear-cache"]);
    assert_eq!(compiled(&said).len(), 2, "{said}");
    drop(waiting);
    let output = shell.wait();
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(compiled(&output.stderr), [""; 0], "{}", output.stderr);
}
