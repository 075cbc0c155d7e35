//! What defeats a kept target directory.

use harness::{CargoProject, compiled};

const VENDORED: &str = "third-party/greeting-1.0.0";

/// A project with a vendored package, as `cargo vendor --versioned-dirs` makes it.
fn vendored(configuration: &str) -> CargoProject {
    let main = "fn main() { println!(\"{}\", greeting::TEXT); }";
    let project = CargoProject::new("kept", "greeting = \"1\"", main);
    let source =
        "[source.crates-io]\nreplace-with = \"mine\"\n[source.mine]\ndirectory = \"third-party\"\n";
    let configuration = format!("{source}{configuration}");
    project.app.write(".cargo/config.toml", &configuration);
    let manifest = "[package]\nname = \"greeting\"\nversion = \"1.0.0\"\nedition = \"2024\"\n";
    let file = |name: &str, text: &str| project.app.write(&format!("{VENDORED}/{name}"), text);
    file("Cargo.toml", manifest);
    file(".cargo-checksum.json", "{\"files\":{}}");
    file("src/lib.rs", "pub const TEXT: &str = \"first\";");
    project.lock();
    project
}

#[test]
fn a_build_directory_of_the_project_does_not_lead_out_of_the_cache() {
    let directories = "[build]\nbuild-dir = \"elsewhere\"\ntarget-dir = \"other\"\n";
    let project = vendored(directories);
    assert_eq!(compiled(&project.build(&[])).len(), 2);
    let unchanged = project.build(&["--force"]);
    assert_eq!(compiled(&unchanged), [""; 0], "{unchanged}");
    let said = project.develop(&["cargo", "build", "--release"]);
    assert_eq!(compiled(&said), [""; 0], "{said}");
    assert!(!project.app.path().join("elsewhere").exists());
}

#[test]
fn an_edited_vendored_package_is_compiled_again() {
    let project = vendored("");
    project.build(&[]);
    let edited = "pub const TEXT: &str = \"edited\";";
    project.app.write(&format!("{VENDORED}/src/lib.rs"), edited);
    let said = project.build(&[]);
    assert_eq!(compiled(&said), ["greeting", "kept"], "{said}");
    assert_eq!(project.run(&[]).stdout, "edited\n");
    let unchanged = project.build(&["--force"]);
    assert_eq!(compiled(&unchanged), [""; 0], "{unchanged}");
}

#[test]
fn messages_have_colours_where_locald_has_and_what_was_compiled_stays() {
    let main = "fn main() { let unused = 1; }";
    let project = CargoProject::new("colours", "", main);
    project.lock();
    let coloured = project.build(&["--color", "always"]);
    let warning = |said: &str| {
        let line = said.lines().find(|it| it.contains("unused variable"));
        line.unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    assert!(warning(&coloured).contains("\u{1b}["), "{coloured}");
    let plain = project.build(&["--force"]);
    assert!(warning(&plain).starts_with("warning: "), "{plain}");
    assert_eq!(compiled(&plain), [""; 0], "{plain}");
}
