//! A real registry, behind a proxy that breaks what it carries.

use std::process::Command;

use harness::{
    Cut, CuttingProxy, Distribution, Fault, FaultProxy, Moment, Reader, locald, registry, unique,
};

/// An image of one layer that does not compress, in the registry.
struct Pushed {
    name: String,
    digest: String,
}

impl Pushed {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("layer.tar");
        let (root, archive) = (
            directory.path().to_str().unwrap(),
            archive.to_str().unwrap(),
        );
        let name = unique("faulty");
        let at = format!("{}/{name}", registry());
        let platform = match std::env::consts::ARCH {
            "aarch64" => "linux/arm64",
            _ => "linux/amd64",
        };
        let script = "set -e; head -c 5000000 /dev/urandom > \"$1/file\"
            tar -cf \"$2\" -C \"$1\" file
            crane append --insecure --oci-empty-base -t \"$3\" -f \"$2\" 2> \"$1/log\" >&2
            crane mutate --insecure \"$3\" -t \"$3\" --set-platform \"$4\" 2> \"$1/log\" >&2
            crane digest --insecure \"$3\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "push", root, archive, &at, platform]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let digest = String::from_utf8(output.stdout).unwrap();
        let digest = digest.trim().to_owned();
        Self { name, digest }
    }

    /// Pulls it through a proxy, into a store of its own; returns the exit code
    /// and what is said. A store that has it is sound.
    fn pull(&self, fault: impl Fn(usize) -> Fault + Send + 'static) -> (i32, String) {
        let home = tempfile::tempdir().unwrap();
        let proxy = FaultProxy::start(&registry(), fault);
        let name = format!("{}/{}", proxy.address(), self.name);
        let output = locald(["pull", &name]).home(home.path()).run();
        if output.code == 0 {
            assert!(output.stdout.contains(&self.digest), "{}", output.stdout);
            locald(["store", "verify"]).home(home.path()).succeed();
        }
        (output.code, output.stderr)
    }
}

#[test]
fn connections_that_are_reset_or_slow_bring_the_same_image() {
    let image = Pushed::new();
    let reset = |number| match number {
        0..3 => Fault::Reset(1_000_000),
        _ => Fault::None,
    };
    let (code, said) = image.pull(reset);
    assert_eq!(code, 0, "{said}");
    let (code, said) = image.pull(|_| Fault::Trickle);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_wrong_length_is_no_layer() {
    let image = Pushed::new();
    // All of the layer comes, and then the connection ends too early.
    let (code, said) = image.pull(|_| Fault::Length(1000));
    assert_eq!(code, 0, "{said}");
    let (code, said) = image.pull(|_| Fault::Length(-1000));
    assert_eq!(code, 114, "{said}");
    assert!(said.contains("bytes instead of"), "{said}");
}

/// Each step of a push is cut off once, before two registries that keep
/// different things of a broken upload.
#[test]
fn a_push_whose_connection_breaks_begins_again() {
    let distribution = Distribution::start();
    let image = Pushed::new();
    let from = format!("{}/{}", registry(), image.name);
    let home = tempfile::tempdir().unwrap();
    locald(["pull", &from]).home(home.path()).succeed();
    for target in [registry(), distribution.address().to_owned()] {
        let requests = [
            ("HEAD", "/blobs/sha256:"),
            ("POST", "/blobs/uploads/"),
            ("PUT", "/blobs/uploads/"),
            ("PUT", "/manifests/"),
        ];
        for (method, path) in requests {
            for moment in [Moment::Question, Moment::Answer] {
                let cut = Cut {
                    method,
                    path,
                    moment,
                };
                let proxy = CuttingProxy::start(&target, cut);
                let name = unique("pushed");
                let through = format!("{}/{name}", proxy.address());
                let pushed = locald(["push", &from, &through]).home(home.path()).run();
                assert_eq!(pushed.code, 0, "{target} {cut:?}: {}", pushed.stderr);
                assert!(proxy.has_cut(), "{target} {cut:?}");
                let direct = format!("{target}/{name}");
                let crane = Reader("crane");
                crane.run(&["validate", "--insecure", "--remote", &direct]);
                let digest = crane.run(&["digest", "--insecure", &direct]);
                assert_eq!(digest.trim(), image.digest);
            }
        }
    }
}
