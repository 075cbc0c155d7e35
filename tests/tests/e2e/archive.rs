//! An archive as a source.

use std::io::Write as _;
use std::path::PathBuf;

use harness::{App, Output, builder, locald, unique};
use zip::write::SimpleFileOptions;
use zip::{System, ZipWriter};

use super::digest;

/// An archive in a folder of its own.
struct Archive {
    folder: App,
    path: PathBuf,
}

impl Archive {
    fn new(name: &str) -> Self {
        let folder = App::empty("archives");
        let path = folder.path().join(name);
        Self { folder, path }
    }

    fn text(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    /// Writes files with their modes; a path that ends with a slash is a folder.
    fn write(&self, files: &[(&str, u32, &[u8])]) {
        let options = SimpleFileOptions::default();
        self.write_with(files, |mode| options.unix_permissions(mode));
    }

    fn write_with(&self, files: &[(&str, u32, &[u8])], options: impl Fn(u32) -> SimpleFileOptions) {
        let mut archive = ZipWriter::new(fs_err::File::create(&self.path).unwrap());
        for (path, mode, content) in files {
            if path.ends_with('/') {
                archive.add_directory(*path, options(*mode)).unwrap();
                continue;
            }
            archive.start_file(*path, options(*mode)).unwrap();
            archive.write_all(content).unwrap();
        }
        archive.finish().unwrap();
    }

    /// Replaces some bytes wherever they are.
    fn replace(&self, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len());
        let mut bytes = fs_err::read(&self.path).unwrap();
        let places = (0..bytes.len()).filter(|place| bytes[*place..].starts_with(from));
        for place in places.collect::<Vec<_>>() {
            bytes[place..place + to.len()].copy_from_slice(to);
        }
        fs_err::write(&self.path, bytes).unwrap();
    }

    fn build(&self, name: &str, more: &[&str]) -> Output {
        let (text, builder) = (self.text(), builder());
        let command = ["build", &text, "-v", "-B", &builder, "-t", name];
        locald([&command[..], more].concat()).succeed()
    }

    fn refused(&self, words: &str) -> Output {
        locald(["build", &self.text(), "-B", &builder()]).fail(118, words)
    }
}

fn said(output: &Output) -> String {
    output.all()
}

/// Lists modes and paths.
const LIST: &[u8] = b"find . ! -name . -printf 'SAYS %m %P %l\\n' | sort\n";

#[test]
fn an_archive_is_built_with_its_modes() {
    let (archive, name) = (Archive::new("app.zip"), unique("zip"));
    let large: Vec<u8> = (0..2_000_000_u32)
        .flat_map(|it| (it / 7).to_le_bytes())
        .collect();
    let files: [(&str, u32, &[u8]); 5] = [
        ("probe.sh", 0o644, LIST),
        ("bin/", 0o750, b""),
        ("bin/tool", 0o755, b"#!/bin/sh\n"),
        ("secret", 0o600, b""),
        ("large", 0o644, &large),
    ];
    archive.write(&files);
    let first = archive.build(&name, &[]);
    for line in ["750 bin", "755 bin/tool", "600 secret", "644 large"] {
        assert!(said(&first).contains(line), "{}", said(&first));
    }
    let made = digest(&name);
    let again = said(&archive.build(&name, &[]));
    assert!(again.contains("up to date"), "{again}");
    assert_eq!(digest(&name), made);
    // A new archive of the same files is no other source.
    archive.write(&files);
    let again = said(&archive.build(&name, &[]));
    assert!(again.contains("up to date"), "{again}");
}

#[test]
fn only_what_has_changed_in_an_archive_travels() {
    let (archive, name) = (Archive::new("app.war"), unique("war"));
    let large: Vec<u8> = (0..200_000).flat_map(u32::to_le_bytes).collect();
    archive.write(&[("probe.sh", 0o644, b"true\n"), ("large", 0o644, &large)]);
    archive.build(&name, &[]);
    archive.write(&[("probe.sh", 0o644, b"echo 1\n"), ("large", 0o644, &large)]);
    let output = archive.build(&name, &["--json"]);
    let events = output.json();
    let received = events.iter().find_map(|event| event["received"].as_u64());
    assert_eq!(received, Some(7), "{events:?}");
}

#[test]
fn a_jar_without_modes_runs() {
    let archive = Archive::new("My App.jar");
    let options = SimpleFileOptions::default().system(System::Dos);
    let files: [(&str, u32, &[u8]); 2] = [("META-INF/MANIFEST.MF", 0, b""), ("probe.sh", 0, LIST)];
    archive.write_with(&files, |_| options.external_attributes(0));
    let output = locald(["run", &archive.text(), "-B", &builder()]).succeed();
    assert_eq!(output.stdout.as_bytes(), LIST);
    assert!(output.stderr.contains("Built my-app"), "{}", output.stderr);
    let output = archive.build(&unique("jar"), &[]);
    assert!(
        said(&output).contains("777 META-INF/MANIFEST.MF"),
        "{}",
        said(&output)
    );
    // By its name alone, too.
    let command = ["run", "My App.jar", "--command", "--", "pwd"];
    let output = locald(command).current_dir(archive.folder.path()).succeed();
    assert_eq!(output.stdout.trim(), "/workspace");
}

#[test]
fn an_archive_has_no_settings_of_its_own() {
    let (archive, name) = (Archive::new("app.zip"), unique("settings"));
    let toml = b"[_]\nschema-version = \"0.2\"\n[io.buildpacks]\nbuilder = \"no/such\"\n";
    archive.write(&[
        ("probe.sh", 0o644, LIST),
        ("project.toml", 0o644, toml),
        ("left/out", 0o644, b""),
    ]);
    let output = archive.build(&name, &[]);
    let words = "project.toml in the archive is not read";
    assert!(output.stderr.contains(words), "{}", output.stderr);
    archive
        .folder
        .write("ci.toml", "[build]\nexclude = [\"/left\"]\n");
    let file = archive.folder.path().join("ci.toml");
    let output = archive.build(&name, &["-d", file.to_str().unwrap()]);
    assert!(said(&output).contains("644 probe.sh"), "{}", said(&output));
    assert!(!said(&output).contains("left"), "{}", said(&output));
}

#[test]
fn hostile_and_damaged_archives_are_refused() {
    let archive = Archive::new("app.zip");
    let probe: (&str, u32, &[u8]) = ("probe.sh", 0o644, b"echo a probe that is stored\n");
    let crafted = |path: &str, from: &[u8], to: &[u8]| {
        archive.write(&[probe, (path, 0o644, b"x")]);
        archive.replace(from, to);
    };
    crafted("aa/bb/etc/x", b"aa/bb/etc/x", b"../../etc/x");
    archive.refused("app.zip has \"../../etc/x\", which leads out of it");
    crafted("aetc/x", b"aetc/x", b"/etc/x");
    archive.refused("app.zip has \"/etc/x\", an absolute path");
    crafted("probe.sH", b"probe.sH", b"probe.sh");
    archive.refused("app.zip has \"probe.sh\" twice");
    let mut bomb = vec![0; 16 * 1024 * 1024];
    bomb.extend(b"end");
    archive.write(&[probe, ("bomb", 0o644, &bomb)]);
    let size = u32::try_from(bomb.len()).unwrap().to_le_bytes();
    archive.replace(&size, &0xffff_ff00_u32.to_le_bytes());
    archive.refused("app.zip would unpack to more than 4294967");
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.write_with(&[probe], |mode| stored.unix_permissions(mode));
    archive.replace(b"echo a probe", b"echo A probe");
    archive.refused("app.zip: \"probe.sh\" cannot be unpacked");
    fs_err::write(&archive.path, "PK\x03\x04").unwrap();
    archive.refused("is a damaged zip archive");
    let text = archive.folder.path().join("text");
    fs_err::write(&text, "no archive").unwrap();
    locald(["build", text.to_str().unwrap()]).fail(118, "is neither a folder nor a zip archive");
    let listed = locald(["image", "ls"]).succeed().stdout;
    assert!(
        !listed.lines().any(|line| line.starts_with("app ")),
        "{listed}"
    );
}

#[test]
fn what_needs_a_folder_says_so() {
    let archive = Archive::new("app.zip");
    archive.write(&[("probe.sh", 0o644, b"true\n")]);
    let text = archive.text();
    for command in [&["shell", &text][..], &["run", "--watch", &text]] {
        let output = locald(command.iter()).fail(118, "is not a folder, but an archive");
        assert!(output.stderr.contains("unpack it"), "{}", output.stderr);
    }
}
