//! Images as other tools write them, which Docker runs.

use std::path::PathBuf;

use harness::{Reader, crafted, in_busybox, locald};
use serde_json::json;

/// Archives of layers that a script makes.
struct Layers(tempfile::TempDir);

impl Layers {
    fn made(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("set -e; cd \"$1\"\n{script}");
        let path = folder.path().to_str().unwrap();
        Reader("sh").run(&["-c", &script, "layers", path]);
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A container engine leaves it at directories.
fn with_an_attribute_of_overlayfs() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let attribute = [("SCHILY.xattr.user.overlay.opaque", &b"y"[..])];
    archive.append_pax_extensions(attribute).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    archive.append_data(&mut header, "opt", &[][..]).unwrap();
    archive.into_inner().unwrap()
}

#[test]
fn user_home_directories_and_layers_are_those_that_docker_sees() {
    let layers = Layers::made(
        "mkdir -p a/etc a/opt b/opt/accounts
        ln -s ../opt/accounts/passwd a/etc/passwd
        printf '# nobody:x:0:0::/:\\nroot:x:0:0::/root:\\nweb:x:1001:1000::/home/web:\\r\\n' > b/opt/accounts/passwd
        printf 'adm:x:4:root,web\\nweb:x:1000:\\n' > a/etc/group
        truncate -s 3000000 a/opt/holes
        echo end >> a/opt/holes
        tar --sparse --format=pax -cf a.tar -C a .
        tar --format=v7 -cf b.tar -C b .",
    );
    let [a, b, c] = ["a.tar", "b.tar", "c.tar"].map(|name| layers.path(name));
    fs_err::write(&c, with_an_attribute_of_overlayfs()).unwrap();
    let script = "/bin/busybox id -u; /bin/busybox id -g; echo $HOME; /bin/busybox pwd
        /bin/busybox stat -c '%n %a' . /vol /data; /bin/busybox tail -c 4 /opt/holes
        /bin/busybox stat -c %s /opt/holes; echo $A";
    let config = json!({
        "User": "web", "WorkingDir": "/srv/new/deep", "Volumes": {"/vol": {}, "data": {}},
        "Entrypoint": [""], "Cmd": ["/bin/sh", "-c", script],
        "Env": ["A=1", "NONE", "A=2"], "ExposedPorts": null, "Labels": null,
        "StopSignal": "RTMIN+3",
    });
    let image = crafted("odd", &config, &[&a, &b, &c, &a, &b]);
    locald(["pull", &image]).succeed();
    let output = locald(["run", &image]).succeed();
    let expected = "1001\n1000\n/home/web\n/srv/new/deep\n\
        . 755\n/vol 755\n/data 755\nend\n3000004\n2\n";
    assert_eq!(output.stdout, expected);
    if rustix::process::geteuid().is_root() {
        // Without real root there is one id.
        let groups = locald(in_busybox(&image, "/bin/busybox id -G")).succeed();
        assert_eq!(groups.stdout, "1000 4\n");
    }
    locald(["image", "inspect", &image]).succeed();
}

#[test]
fn what_an_image_lacks_is_named() {
    let layers = Layers::made(
        "mkdir -p a/bin b/etc
        printf '#!/no/bash\\n' > a/bin/start; chmod 755 a/bin/start
        printf 'web:x:1001:1000::/:\\n' > b/etc/passwd
        tar -cf a.tar -C a .; tar -cf b.tar -C b .
        rm b/etc/passwd; touch b/etc/.wh.passwd; tar -cf c.tar -C b .",
    );
    let [a, b, c] = ["a.tar", "b.tar", "c.tar"].map(|name| layers.path(name));
    let start = crafted("start", &json!({"Cmd": ["/bin/start"]}), &[&a]);
    locald(["pull", &start]).succeed();
    locald(["run", &start]).fail(122, "it needs \"/no/bash\"");
    let gone = crafted(
        "gone",
        &json!({"User": "web", "Cmd": ["/bin/sh"]}),
        &[&b, &c],
    );
    locald(["pull", &gone]).succeed();
    locald(["run", &gone]).fail(111, "\"web\" is not in the image's /etc/passwd");
}

/// Docker's limit: its storage drivers stack no more.
#[test]
fn more_layers_than_docker_takes_are_told_before_it_fails() {
    let layers = Layers::made(
        "mkdir root bin; touch root/file; tar -cf layer.tar -C root .
        printf '#!/bin/sh\\ncat >/dev/null\\necho max depth exceeded >&2\\nexit 1\\n' > bin/docker
        chmod 755 bin/docker",
    );
    let layer = layers.path("layer.tar");
    let path = format!(
        "{}:{}",
        layers.path("bin").display(),
        harness::setting("PATH")
    );
    let image = crafted(
        "deep",
        &json!({"Cmd": ["/bin/sh", "-c", "echo ran"]}),
        &[&*layer; 125],
    );
    locald(["pull", &image]).succeed();
    assert_eq!(locald(["run", &image]).succeed().stdout, "ran\n");
    let failed = locald(["image", "load", "docker", &image]).env("PATH", &path);
    let failed = failed.fail(121, "max depth exceeded");
    let warning = format!("{image} has 126 layers: Docker takes 125");
    assert!(failed.stderr.contains(&warning), "{}", failed.stderr);
}
