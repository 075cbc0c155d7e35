//! Toolchains of a distribution server, which has the components of this
//! machine's toolchain as `scripts/rust-dist` packs them.

use std::path::{Path, PathBuf};

use harness::{CargoProject, FileServer, Reader, builder, rust_builder, setting, sha256};

fn dist() -> PathBuf {
    setting("LOCALD_TEST_RUST_DIST").into()
}

/// The manifest, changed, in a directory that is served before the real one.
fn changed(directory: &Path, change: impl Fn(&str) -> String) {
    let manifest = fs_err::read_to_string(dist().join("dist/channel-rust-stable.toml")).unwrap();
    fs_err::create_dir_all(directory.join("dist")).unwrap();
    fs_err::write(
        directory.join("dist/channel-rust-beta.toml"),
        change(&manifest),
    )
    .unwrap();
}

fn project(name: &str, toolchain: &str) -> CargoProject {
    // This builder has a C compiler, and no Rust.
    let project = CargoProject::new(name, "", "fn main() { println!(\"built\"); }");
    project.app.write("rust-toolchain.toml", toolchain);
    project.lock();
    project.with_builder(builder())
}

#[test]
fn a_toolchain_is_fetched_verified_and_kept() {
    let server = FileServer::start(vec![dist()]);
    let project = project(
        "fetched",
        "[toolchain]\nchannel = \"stable\"\nprofile = \"minimal\"\n",
    );
    let variable = format!("RUSTUP_DIST_SERVER={}", server.url());
    let said = project.build(&["-e", &variable]);
    assert!(said.contains("Fetching Rust 1."), "{said}");
    assert_eq!(project.run(&[]).stdout, "built\n");
    // Nobody listens there: the toolchain of the cache is as new as today.
    let said = project.build(&["-e", "RUSTUP_DIST_SERVER=http://127.0.0.1:9", "--force"]);
    assert!(said.contains("of the cache"), "{said}");
}

#[test]
fn what_a_server_does_not_have_or_has_wrong_is_named() {
    let directory = tempfile::tempdir().unwrap();
    changed(directory.path(), |manifest| {
        let (before, hash) = manifest.split_once("\nhash = \"").unwrap();
        format!("{before}\nhash = \"{}{}", "0".repeat(64), &hash[64..])
    });
    let server = FileServer::start(vec![directory.path().to_owned(), dist()]);
    let variable = format!("RUSTUP_DIST_SERVER={}", server.url());
    let variable = ["-e", &variable];
    let cases = [
        ("channel = \"1.10.0\"", "the channel 1.10.0 is not known at"),
        ("channel = \"beta\"", "has the SHA-256"),
        (
            "channel = \"stable\"\ntargets = [\"wasm32-wasip1\"]",
            "no rust-std for wasm32-wasip1",
        ),
        ("channel = \"newest\"", "\"newest\" is no channel of Rust"),
        ("path = \"/opt/rust\"", "names a toolchain by its path"),
    ];
    for (number, (toolchain, expected)) in cases.into_iter().enumerate() {
        let project = project(
            &format!("wrong-{number}"),
            &format!("[toolchain]\n{toolchain}\n"),
        );
        project.locald(&variable).fail(51, expected);
    }
    let nobody = ["-e", "RUSTUP_DIST_SERVER=http://127.0.0.1:9"];
    // The builder's own has no clippy, which no build needs.
    let builds = project("builds", "[toolchain]\ncomponents = [\"clippy\"]\n");
    let said = builds.with_builder(rust_builder()).build(&nobody);
    assert!(said.contains("a shell will lack that"), "{said}");
    let offline = project("offline", "[toolchain]\nchannel = \"stable\"\n");
    offline.locald(&nobody).fail(51, "cannot be asked");
}

/// The real compiler, made for a C library that nobody has yet.
#[test]
fn a_toolchain_for_a_newer_c_library_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let entries = fs_err::read_dir(dist().join("dist")).unwrap().flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let archive = names.find(|name| name.starts_with("rustc-")).unwrap();
    let original = dist().join("dist").join(&archive);
    let top = archive.strip_suffix(".tar").unwrap();
    Reader("tar").run(&["-xzf", original.to_str().unwrap(), "-C", &path("")]);
    let compiler = path(&format!("{top}/rustc/bin/rustc"));
    let mut bytes = fs_err::read(&compiler).unwrap();
    let (old, new) = (b"GLIBC_2.17", b"GLIBC_9.17");
    let at = bytes.windows(old.len()).position(|it| it == old).unwrap();
    bytes[at..at + new.len()].copy_from_slice(new);
    fs_err::write(&compiler, bytes).unwrap();
    fs_err::create_dir(path("dist")).unwrap();
    let changed_archive = path(&format!("dist/{archive}"));
    let pack = [
        "--use-compress-program=gzip -1",
        "-cf",
        &changed_archive,
        "-C",
        &path(""),
        top,
    ];
    Reader("tar").run(&pack);
    changed(directory.path(), |manifest| {
        manifest.replace(&sha256(&original), &sha256(changed_archive.as_ref()))
    });
    let server = FileServer::start(vec![directory.path().to_owned(), dist()]);
    let variable = format!("RUSTUP_DIST_SERVER={}", server.url());
    let output = project("future", "[toolchain]\nchannel = \"beta\"\n")
        .locald(&["-e", &variable])
        .fail(51, "does not run in this image");
    for words in ["GLIBC_9.17", "C library is too old"] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}
