//! Libraries that are not Rust's.

use harness::CargoProject;

#[test]
fn a_bundled_library_is_compiled() {
    let dependencies = "rusqlite = { version = \"0.37\", features = [\"bundled\"] }";
    let main = r#"fn main() {
        let database = rusqlite::Connection::open_in_memory().unwrap();
        let answer: i64 = database.query_row("select 6 * 7", [], |row| row.get(0)).unwrap();
        println!("{answer}");
    }"#;
    let project = CargoProject::new("sqlite", dependencies, main);
    project.lock();
    // Without optimisation, which takes a minute for SQLite.
    project.build(&["-e", "BP_CARGO_PROFILE=dev"]);
    assert_eq!(project.run(&[]).stdout, "42\n");
}

#[test]
fn a_missing_library_is_named_and_can_be_installed_for_the_build() {
    let main = "fn main() { println!(\"{}\", openssl::version::version()); }";
    let project = CargoProject::new("tls", "openssl = \"0.10\"", main);
    project.lock();
    let output = project
        .locald(&[])
        .fail(51, "the crate openssl-sys does not find what it needs");
    assert!(
        output
            .stderr
            .contains("BP_APT_PACKAGES=\"libssl-dev pkg-config\""),
        "{}",
        output.stderr
    );
    project.build(&["-e", "BP_APT_PACKAGES=libssl-dev pkg-config"]);
    assert!(project.run(&[]).stdout.starts_with("OpenSSL 3"));
    let odd = ["-e", "BP_APT_PACKAGES=no-such-package-of-debian"];
    project.locald(&odd).fail(51, "no-such-package-of-debian");
}

#[test]
fn a_library_of_the_builder_that_the_run_image_lacks_is_found_before_the_export() {
    let project = CargoProject::new("lacks", "", "fn main() {}");
    let script = "fn main() { println!(\"cargo::rustc-link-arg=-Wl,--no-as-needed\"); println!(\"cargo::rustc-link-arg=-l:libcurl.so.4\"); }";
    project.app.write("build.rs", script);
    project.lock();
    let output = project
        .locald(&[])
        .fail(117, "the programs need libcurl.so.4, which the run image");
    assert!(!output.stderr.contains("EXPORTING"), "{}", output.stderr);
}
