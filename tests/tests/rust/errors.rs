//! Projects that cannot be built, and what is said about them.

use harness::{App, CargoProject, builder, locald, rust_builder};

#[test]
fn a_lock_without_a_manifest() {
    let project = CargoProject::empty("lock");
    project.app.write("Cargo.lock", "version = 4\n");
    project
        .locald(&[])
        .fail(21, "there is a Cargo.lock, but no Cargo.toml");
}

#[test]
fn a_broken_manifest_is_reported_by_cargo_with_its_line() {
    let project = CargoProject::empty("broken");
    project
        .app
        .write("Cargo.toml", "[package]\nname = \"broken\"\nversion = 1\n");
    project.locald(&[]).fail(51, "Cargo.toml:3:11");
}

#[test]
fn a_library_names_the_setting() {
    let project = CargoProject::empty("library");
    project.app.write(
        "Cargo.toml",
        "[package]\nname = \"library\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    project.app.write("src/lib.rs", "");
    let output = project
        .locald(&[])
        .fail(51, "there is no binary to build: library is a library");
    assert!(
        output.stderr.contains("BP_CARGO_EXAMPLES"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("there is no Cargo.lock"),
        "{}",
        output.stderr
    );
}

#[test]
fn settings_that_are_none() {
    let project = CargoProject::new("settings", "", "fn main() {}");
    project.lock();
    let unknown = ["-e", "BP_CARGO_BINS=other"];
    project
        .locald(&unknown)
        .fail(51, "there is no binary called \"other\"");
    let switch = ["-e", "BP_CARGO_ALL_FEATURES=some"];
    project
        .locald(&switch)
        .fail(51, "BP_CARGO_ALL_FEATURES is \"some\"");
    let said = project.build(&["-e", "BP_CARGO_FEATURE=x"]);
    assert!(
        said.contains("BP_CARGO_FEATURE is no setting of this buildpack: BP_CARGO_FEATURES?"),
        "{said}"
    );
    let manifest = fs_err::read_to_string(project.app.path().join("Cargo.toml")).unwrap();
    project.app.write(
        "Cargo.toml",
        &format!("{manifest}[package.metadata.locald]\nfeature = []\n"),
    );
    project.locald(&[]).fail(51, "unknown field `feature`");
}

#[test]
fn crates_that_are_not_there_and_locks_that_do_not_fit() {
    let main = "fn main() {}";
    let missing = CargoProject::new("missing", "locald-test-no-such-crate = \"1\"", main);
    missing.locald(&[]).fail(
        51,
        "no matching package named `locald-test-no-such-crate` found",
    );
    let yanked = CargoProject::new("yanked", "smallvec = \"=0.6.3\"", main);
    yanked.locald(&[]).fail(51, "version 0.6.3 is yanked");
    let stale = CargoProject::new("stale", "", main);
    stale.lock();
    let manifest = fs_err::read_to_string(stale.app.path().join("Cargo.toml")).unwrap();
    stale
        .app
        .write("Cargo.toml", &format!("{manifest}itoa = \"1\"\n"));
    stale
        .locald(&[])
        .fail(51, "Cargo.lock does not fit Cargo.toml");
    stale.cargo(&["generate-lockfile"]);
    let offline = ["--network", "none"];
    stale
        .locald(&offline)
        .fail(51, "cargo cannot reach the network");
}

#[test]
fn a_source_that_is_no_cargo_project_never_meets_the_buildpack() {
    let app = App::empty("nothing");
    app.write("README", "");
    for builder in [builder(), rust_builder()] {
        let command = ["build", &app.text(), "--builder", &builder, "-v"].map(str::to_owned);
        let output = locald(&command).fail(20, "no buildpack can build this source");
        assert!(!output.stderr.contains("locald/rust"), "{}", output.stderr);
    }
}

#[test]
fn what_a_project_names_and_the_builder_does_not_have() {
    let project = CargoProject::new("names", "", "fn main() {}");
    project.lock();
    let configured = |text: &str| project.app.write(".cargo/config.toml", text);
    configured("[build]\nrustc-wrapper = \"sccache\"\n");
    let output = project.locald(&[]).fail(51, "the builder has no sccache");
    let hint = "-e CARGO_BUILD_RUSTC_WRAPPER=";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
    project.build(&["-e", "CARGO_BUILD_RUSTC_WRAPPER="]);
    configured("[target.x86_64-unknown-linux-gnu]\nlinker = \"clang\"\n");
    project.locald(&[]).fail(51, "the builder has no clang");
    // No builder has it, and a server would.
    configured("[build]\ntarget = \"x86_64-unknown-linux-musl\"\n");
    let nobody = ["-e", "RUSTUP_DIST_SERVER=http://127.0.0.1:9"];
    project.locald(&nobody).fail(51, "cannot be asked");
    configured("");
    let script = "fn main() { let git = std::process::Command::new(\"git\").arg(\"describe\").status();\n\
                  assert!(git.unwrap().success()); }";
    project.app.write("build.rs", script);
    project.locald(&[]).fail(51, "the build asks git");
    let manifest = fs_err::read_to_string(project.app.path().join("Cargo.toml")).unwrap();
    let outside = format!("{manifest}shared = {{ path = \"../shared\" }}\n");
    project.app.write("Cargo.toml", &outside);
    project
        .locald(&[])
        .fail(51, "the project needs /shared, which is not in the folder");
}

#[test]
fn a_compiler_that_is_killed_may_have_lacked_memory() {
    let project = CargoProject::new("killed", "", "fn main() {}");
    // A stand-in for the kernel: the build script is killed as rustc would be.
    project.app.write(
        ".cargo/config.toml",
        "[build]\nrustc-wrapper = \"./wrapper\"\n",
    );
    let wrapper =
        "#!/bin/sh\ncase \"$*\" in *crate-name*killed*) kill -9 $$ ;; esac\nexec \"$@\"\n";
    project.app.write("wrapper", wrapper);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(project.app.path().join("wrapper"), mode).unwrap();
    project.lock();
    project.locald(&[]).fail(51, "out of memory?");
}
