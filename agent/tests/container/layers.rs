//! Stacks of random layers, beside what `umoci` and GNU tar make of them: each
//! layer is extracted by its own thread into its own directory, and overlayfs
//! puts them together as it does for a container.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent::images::digest::{Digest, Hasher};
use agent::kernel::namespace::Privilege;
use agent::store::layer::{Compression, extract, stack};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;

use crate::layer_stack::{LATEST, Parents, Stack, stacks};
use crate::stage::Stage;

pub(crate) const TESTS: &[crate::Test] = &[
    ("layers::umoci_makes_the_same_tree", |stage| {
        Box::pin(async { umoci_makes_the_same_tree(stage) })
    }),
    ("layers::umoci_makes_the_same_tree_of_gaps", |stage| {
        Box::pin(async { umoci_makes_the_same_tree_of_gaps(stage) })
    }),
    ("layers::tar_makes_the_same_tree", |stage| {
        Box::pin(async { tar_makes_the_same_tree(stage) })
    }),
];
/// Stacks that are tried, each by an execution of the other program.
const STACKS: u32 = 40;

/// What is at a path: everything that an archive can say about it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    /// Absent when the program has decided it.
    modified: Option<(i64, i64)>,
    content: Vec<u8>,
    /// The first of the paths that are the same file.
    same_as: PathBuf,
    attribute: Option<Vec<u8>>,
}

fn umoci_makes_the_same_tree(stage: &Stage) {
    check(stage, "umoci", Parents::Listed, |stack, directory| {
        Some(umoci(stage, stack, directory).unwrap())
    });
}

/// `umoci` does not take a file for the directory that a layer says nothing of.
fn umoci_makes_the_same_tree_of_gaps(stage: &Stage) {
    check(stage, "umoci-gaps", Parents::Gaps, |stack, directory| {
        umoci(stage, stack, directory).ok()
    });
}

/// What `umoci` makes of a stack, or what it says.
fn umoci(stage: &Stage, stack: &Stack, directory: &Path) -> Result<PathBuf, String> {
    let layout = directory.join("layout");
    write_layout(stack, &layout);
    let mut command = Command::new("umoci");
    command.arg("unpack").arg("--image").arg(&layout);
    if stage.privilege == Privilege::Rootless {
        command.arg("--rootless");
    }
    let output = command.arg(directory.join("bundle")).output().unwrap();
    if output.status.success() {
        return Ok(directory.join("bundle/rootfs"));
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// GNU tar knows no whiteouts: it gets the lowest layer only.
fn tar_makes_the_same_tree(stage: &Stage) {
    check(stage, "tar", Parents::Listed, |stack, directory| {
        stack.layers.truncate(1);
        stack.show_all();
        let (archive, root) = (directory.join("layer.tar"), directory.join("by-tar"));
        fs_err::write(&archive, &stack.archives()[0]).unwrap();
        fs_err::create_dir(&root).unwrap();
        let options = ["--xattrs", "--xattrs-include=user.*", "-xpf"];
        let mut command = Command::new("tar");
        if stage.privilege == Privilege::Rootless {
            command.arg("--no-same-owner");
        }
        run(command.args(options).arg(&archive).arg("-C").arg(&root));
        Some(root)
    });
}

/// Compares our tree of random stacks with another program's.
fn check(
    stage: &Stage,
    name: &str,
    parents: Parents,
    other: impl Fn(&mut Stack, &Path) -> Option<PathBuf>,
) {
    let config = Config {
        cases: STACKS,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::default()
    };
    let parent = stage.directory(&format!("stacks-{name}"));
    TestRunner::new(config)
        .run(&stacks(parents), |mut stack| {
            let directory = tempfile::tempdir_in(&parent).unwrap();
            let Some(theirs) = other(&mut stack, directory.path()) else {
                return Err(TestCaseError::reject("the other program refuses it"));
            };
            let theirs = snapshot(&theirs, stage.privilege);
            let mut ours = merged(&stack, directory.path(), stage.privilege);
            for (path, seen) in &theirs {
                if let (Some(ours), None) = (ours.get_mut(path), seen.modified) {
                    ours.modified = None;
                }
                if ours.get(path) != Some(seen) {
                    let message = format!("{}: {:?}, not {seen:?}", path.display(), ours.get(path));
                    return Err(TestCaseError::fail(message));
                }
            }
            let more = ours.keys().find(|path| !theirs.contains_key(*path));
            match more {
                Some(path) => Err(TestCaseError::fail(format!(
                    "{} is only in ours",
                    path.display()
                ))),
                None => Ok(()),
            }
        })
        .unwrap();
}

/// Extracts all layers at the same time, and stacks them.
fn merged(stack: &Stack, directory: &Path, privilege: Privilege) -> BTreeMap<PathBuf, Seen> {
    let archives = stack.archives();
    let roots: Vec<PathBuf> = (0..archives.len())
        .map(|number| directory.join(number.to_string()))
        .collect();
    let layers: Vec<stack::Layer> = std::thread::scope(|scope| {
        let extract = |(archive, root): (&Vec<u8>, PathBuf)| {
            let extraction = extract(&**archive, Compression::None, &root, Hasher::new()).unwrap();
            let implied = extraction.implied;
            stack::Layer { root, implied }
        };
        let threads: Vec<_> = archives
            .iter()
            .zip(roots)
            .map(|layer| scope.spawn(move || extract(layer)))
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let mut lowers = stack::lowers(&layers, directory).unwrap();
    // A stack has at least two directories.
    let (below, place) = (directory.join("below"), directory.join("merged"));
    fs_err::create_dir(&below).unwrap();
    fs_err::create_dir(&place).unwrap();
    lowers.push(below);
    let lowers: Vec<&str> = lowers.iter().map(|path| path.to_str().unwrap()).collect();
    let own = match privilege {
        Privilege::Root => "",
        Privilege::Rootless => ",userxattr",
    };
    let options = CString::new(format!("lowerdir={}{own}", lowers.join(":"))).unwrap();
    let flags = MountFlags::RDONLY;
    mount("overlay", &place, "overlay", flags, Some(&*options)).unwrap();
    let seen = snapshot(&place, privilege);
    unmount(&place, UnmountFlags::empty()).unwrap();
    seen
}

fn snapshot(root: &Path, privilege: Privilege) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    let mut first = HashMap::new();
    look(root, root, privilege, &mut first, &mut seen);
    seen
}

fn look(
    root: &Path,
    directory: &Path,
    privilege: Privilege,
    first: &mut HashMap<(u64, u64), PathBuf>,
    seen: &mut BTreeMap<PathBuf, Seen>,
) {
    let entries = fs_err::read_dir(directory).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let metadata = fs_err::symlink_metadata(&path).unwrap();
        let inside = path.strip_prefix(root).unwrap().to_owned();
        let identity = (metadata.dev(), metadata.ino());
        let same_as = if metadata.is_dir() {
            inside.clone()
        } else {
            let earlier = first.entry(identity).or_insert_with(|| inside.clone());
            earlier.clone()
        };
        let content = if metadata.is_symlink() {
            let target = fs_err::read_link(&path).unwrap();
            target.into_os_string().into_encoded_bytes()
        } else if metadata.is_file() {
            fs_err::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let mut value = [0; 64];
        let attribute = rustix::fs::lgetxattr(&path, "user.mine", &mut value).ok();
        let owner = match privilege {
            Privilege::Root => (metadata.uid(), metadata.gid()),
            Privilege::Rootless => (0, 0),
        };
        let found = Seen {
            mode: metadata.mode(),
            owner,
            modified: (metadata.mtime() <= LATEST.cast_signed())
                .then(|| (metadata.mtime(), metadata.mtime_nsec())),
            content,
            same_as,
            attribute: attribute.map(|length| value[..length].to_vec()),
        };
        seen.insert(inside, found);
        if metadata.is_dir() {
            look(root, &path, privilege, first, seen);
        }
    }
}

/// An OCI image layout of these layers.
fn write_layout(stack: &Stack, layout: &Path) {
    let blobs = layout.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).unwrap();
    let add = |media_type: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs_err::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let archives = stack.archives();
    let kind = |name: &str| format!("application/vnd.oci.image.{name}");
    let layers: Vec<_> = archives
        .iter()
        .map(|archive| add(&kind("layer.v1.tar"), archive))
        .collect();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
    let config = json!({
        "os": "linux", "architecture": "amd64", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = add(&kind("config.v1+json"), config.to_string().as_bytes());
    let manifest_type = kind("manifest.v1+json");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers,
    });
    let mut manifest = add(&manifest_type, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs_err::write(layout.join("index.json"), index.to_string()).unwrap();
    let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
    fs_err::write(layout.join("oci-layout"), version).unwrap();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
}
