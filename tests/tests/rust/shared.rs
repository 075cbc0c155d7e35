//! Shared libraries that a build makes.

use harness::{CargoProject, compiled};

#[test]
fn shared_libraries_that_programs_need_come_along() {
    let project = CargoProject::new(
        "game",
        "engine = { path = \"engine\" }\n",
        "unsafe extern \"C\" { safe fn volume() -> i32; }\n\
         fn main() { println!(\"{} {}\", engine::name(), volume()); }",
    );
    let engine = "[package]\nname = \"engine\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                  [lib]\ncrate-type = [\"dylib\"]\n";
    project.app.write("engine/Cargo.toml", engine);
    project.app.write(
        "engine/src/lib.rs",
        "pub fn name() -> String { \"engine\".repeat(1) }",
    );
    // As crates do that compile a library of C, and link it as it is usual there.
    let script = r#"fn main() {
        let out = std::env::var("OUT_DIR").unwrap();
        let library = format!("{out}/libsound.so.2");
        let arguments = ["-shared", "-Wl,-soname,libsound.so.2", "sound.c", "-o", &library];
        assert!(std::process::Command::new("cc").args(arguments).status().unwrap().success());
        std::os::unix::fs::symlink(&library, format!("{out}/libsound.so")).unwrap();
        println!("cargo::rustc-link-search=native={out}\ncargo::rustc-link-lib=dylib=sound");
        println!("cargo::rerun-if-changed=sound.c");
    }"#;
    project.app.write("build.rs", script);
    project
        .app
        .write("sound.c", "int volume() { return 11; }\n");
    project.lock();
    project.build(&[]);
    assert_eq!(project.run(&[]).stdout, "engine 11\n");
    let libraries = project.shell("ls /layers/locald_rust/programs/lib");
    let of_rust = libraries.lines().filter(|name| name.starts_with("libstd-"));
    assert_eq!(of_rust.count(), 1, "{libraries}");
    let unchanged = project.build(&["--force"]);
    assert_eq!(compiled(&unchanged), [""; 0], "{unchanged}");
}
