//! A registry that wants a token, and where that token does not go.

use std::path::{Path, PathBuf};

use harness::{CargoProject, FileServer, locald, run, sha256, shared_home};

const TOKEN: &str = "token-of-a-private-registry-3f9c";
/// In the program, to know that the search finds what is there.
const KNOWN: &str = "known-to-be-in-the-program-5d1a";

/// A sparse index with one crate, as a registry serves it.
fn publish(root: &Path, url: &str) {
    let library = CargoProject::empty("secrets");
    let manifest = "[package]\nname = \"secrets\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    description = \"x\"\nlicense = \"MIT\"\n";
    library.app.write("Cargo.toml", manifest);
    let code = format!("pub const TEXT: &str = \"{KNOWN}\";\n");
    library.app.write("src/lib.rs", &code);
    library.cargo(&["package", "--no-verify", "--quiet"]);
    let archive = library
        .app
        .path()
        .join("target/package/secrets-0.1.0.crate");
    let place = root.join("secrets/0.1.0");
    fs_err::create_dir_all(&place).unwrap();
    fs_err::copy(archive, place.join("download")).unwrap();
    let sum = sha256(&place.join("download"));
    let entry = format!(
        "{{\"name\":\"secrets\",\"vers\":\"0.1.0\",\"deps\":[],\"cksum\":\"{sum}\",\"features\":{{}},\"yanked\":false}}\n"
    );
    fs_err::create_dir_all(root.join("se/cr")).unwrap();
    fs_err::write(root.join("se/cr/secrets"), entry).unwrap();
    let config = format!("{{\"dl\":\"{url}\",\"auth-required\":true}}");
    fs_err::write(root.join("config.json"), config).unwrap();
}

/// What the store keeps of a project.
fn kept(project: &CargoProject) -> PathBuf {
    let projects = fs_err::read_dir(shared_home().join("store/projects")).unwrap();
    let mut projects = projects.map(|entry| entry.unwrap().path());
    let folder = project.app.text();
    let of_folder = |path: &PathBuf| holds(&path.join("last-build.json"), &folder);
    projects.find(of_folder).unwrap()
}

/// Whether a text is in a file or below a directory.
fn holds(path: &Path, text: &str) -> bool {
    let output = std::process::Command::new("grep")
        .args(["--recursive", "--text", "--quiet", "--fixed-strings", text])
        .arg(path)
        .output()
        .unwrap();
    output.status.success()
}

#[test]
fn a_token_reaches_the_registry_and_nothing_that_stays() {
    let index = tempfile::tempdir().unwrap();
    let server = FileServer::private(vec![index.path().to_owned()], TOKEN);
    publish(index.path(), server.url());
    let dependency = "secrets = { version = \"0.1\", registry = \"mine\" }";
    let main = "fn main() { println!(\"{}\", secrets::TEXT); }";
    let project = CargoProject::new("private", dependency, main);
    let registry = format!("[registries.mine]\nindex = \"sparse+{}/\"\n", server.url());
    project.app.write(".cargo/config.toml", &registry);

    project.locald(&[]).fail(51, "CARGO_REGISTRIES_MINE_TOKEN");
    let variable = format!("CARGO_REGISTRIES_MINE_TOKEN={TOKEN}");
    let said = project.build(&["-e", &variable]);
    assert!(!said.contains(TOKEN), "{said}");
    assert_eq!(project.run(&[]).stdout, format!("{KNOWN}\n"));

    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("image.tar");
    let target = format!("docker-archive:{}", archive.display());
    locald(["image", "export", project.image(), &target]).succeed();
    let unpacked = directory.path().join("unpacked");
    fs_err::create_dir(&unpacked).unwrap();
    run(&unpacked, "tar", &["-xf", archive.to_str().unwrap()]);
    assert!(holds(&unpacked, KNOWN));
    assert!(!holds(&unpacked, TOKEN));
    // Caches, layers for shells, records.
    let kept = kept(&project);
    assert!(holds(&kept, KNOWN));
    assert!(!holds(&kept, TOKEN));
    assert!(!holds(&shared_home().join("logs"), TOKEN));
    let environment = project.develop(&["env"]);
    assert!(!environment.contains(TOKEN), "{environment}");
}
