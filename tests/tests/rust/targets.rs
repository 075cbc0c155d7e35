//! Which binaries become programs of the image.

use harness::{CargoProject, locald};

/// A workspace, as it is with `cargo new`, of packages with binaries.
fn member(project: &CargoProject, name: &str, rest: &str) {
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}");
    project.app.write(&format!("{name}/Cargo.toml"), &manifest);
    let main = format!("fn main() {{ println!(\"{name}\"); }}");
    project.app.write(&format!("{name}/src/main.rs"), &main);
}

#[test]
fn a_binary_whose_features_are_not_enabled_is_left_out_and_named() {
    let project = CargoProject::new("shop", "", "fn main() { println!(\"shop\"); }");
    let manifest = fs_err::read_to_string(project.app.path().join("Cargo.toml")).unwrap();
    let rest = "[features]\nui = []\n[[bin]]\nname = \"admin\"\nrequired-features = [\"ui\"]\n\
                [[bin]]\nname = \"shop\"\npath = \"src/main.rs\"\n";
    project
        .app
        .write("Cargo.toml", &format!("{manifest}{rest}"));
    project
        .app
        .write("src/bin/admin.rs", "fn main() { println!(\"admin\"); }");
    project.lock();
    let said = project.build(&[]);
    assert!(
        said.contains("warning: admin needs the feature `ui` of shop, which is not enabled"),
        "{said}"
    );
    assert_eq!(project.run(&[]).stdout, "shop\n");
    locald(["run", project.image(), "admin"]).fail(111, "has no process \"admin\"");

    let named = ["-e", "BP_CARGO_BINS=admin"];
    let output = project
        .locald(&named)
        .fail(51, "requires the features: `ui`");
    assert!(
        output.stderr.contains("BP_CARGO_FEATURES"),
        "{}",
        output.stderr
    );
    let started = ["-e", "BP_RUST_WEB=admin"];
    project.locald(&started).fail(
        51,
        "the image cannot start \"admin\": admin needs the feature `ui`",
    );
    project.build(&["-e", "BP_CARGO_FEATURES=ui"]);
    assert_eq!(project.run(&["admin"]).stdout, "admin\n");

    project.app.write(
        "Cargo.toml",
        &format!("{manifest}{rest}required-features = [\"ui\"]\n"),
    );
    project.locald(&[]).fail(
        51,
        "nothing is built: admin needs the feature `ui` of shop, which is not enabled, shop needs",
    );
}

#[test]
fn two_packages_with_binaries_of_one_name() {
    let project = CargoProject::empty("twice");
    let workspace = "[workspace]\nmembers = [\"a\", \"b\"]\nresolver = \"3\"\n";
    project.app.write("Cargo.toml", workspace);
    for name in ["a", "b"] {
        let bin = "[[bin]]\nname = \"server\"\npath = \"src/main.rs\"\n";
        member(&project, name, bin);
    }
    project.lock();
    let output = project
        .locald(&[])
        .fail(51, "two programs are called \"server\": the binary of a");
    assert!(
        output.stderr.contains("BP_CARGO_PACKAGES"),
        "{}",
        output.stderr
    );
    project.build(&["-e", "BP_CARGO_PACKAGES=b"]);
    assert_eq!(project.run(&[]).stdout, "b\n");
}
