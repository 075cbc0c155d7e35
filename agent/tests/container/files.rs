//! The root file system and what is mounted over it.

use std::path::PathBuf;

use agent::container::{Access, Mount, MountKind, Network, Upper};

use crate::stage::{Stage, bind, set_mode};

pub(crate) const TESTS: &[crate::Test] = &[
    ("files::layers_stack", |stage| Box::pin(layers_stack(stage))),
    ("files::many_layers", |stage| Box::pin(many_layers(stage))),
    ("files::changes_are_kept", |stage| {
        Box::pin(changes_are_kept(stage))
    }),
    ("files::binds", |stage| Box::pin(binds(stage))),
    ("files::overlay_mount", |stage| {
        Box::pin(overlay_mount(stage))
    }),
    ("files::tmpfs_mount", |stage| Box::pin(tmpfs_mount(stage))),
    ("files::targets_stay_inside", |stage| {
        Box::pin(targets_stay_inside(stage))
    }),
    ("files::provided", |stage| Box::pin(provided(stage))),
    ("files::directories_are_made", |stage| {
        Box::pin(directories_are_made(stage))
    }),
    ("files::working_directory_link", |stage| {
        Box::pin(working_directory_link(stage))
    }),
    ("files::state_stays_empty", |stage| {
        Box::pin(state_stays_empty(stage))
    }),
];

async fn layers_stack(stage: &Stage) {
    let (upper, lower) = (stage.directory("l-upper"), stage.directory("l-lower"));
    for (layer, names) in [(&upper, ["a", "b"]), (&lower, ["b", "c"])] {
        for name in names {
            fs_err::write(layer.join(name), layer.to_str().unwrap()).unwrap();
        }
    }
    let mut spec = stage.shell("cat /a; echo; cat /b; echo; cat /c; rm /c; ls /c");
    spec.lowers = vec![upper.clone(), lower.clone(), stage.base()];
    let mut owner = spec.clone();
    owner.args = vec!["stat".to_owned(), "-c%a".to_owned(), "/".to_owned()];
    set_mode(&upper, 0o777);
    let ended = stage.run(spec).await;
    let (up, low) = (upper.display(), lower.display());
    assert_eq!(ended.stdout, format!("{up}\n{up}\n{low}"), "{ended:?}");
    assert_ne!(ended.code, 0);
    assert!(lower.join("c").exists());
    assert_eq!(stage.run(owner).await.stdout, "777\n");
}

async fn many_layers(stage: &Stage) {
    let parent = stage.directory("many, with: odd names");
    let layers: Vec<PathBuf> = (0..300)
        .map(|number| {
            let layer = parent.join(format!("layer,{number}:{}", "x".repeat(60)));
            fs_err::create_dir(&layer).unwrap();
            fs_err::write(layer.join(format!("file{number}")), "").unwrap();
            layer
        })
        .collect();
    let mut spec = stage.shell("ls -d /file* | wc -l");
    spec.lowers = layers;
    spec.lowers.push(stage.base());
    assert_eq!(stage.run(spec).await.stdout, "300\n");
}

async fn changes_are_kept(stage: &Stage) {
    let (upper, work) = (stage.directory("k-upper"), stage.directory("k-work"));
    set_mode(&upper, 0o777);
    let mut spec = stage.shell("echo kept > /new; rm -r /tmp; mkdir /tmp; echo x > /tmp/y");
    spec.upper = Upper::Directory {
        upper: upper.clone(),
        work: work.clone(),
    };
    spec.user.uid = 0;
    let ended = stage.run(spec.clone()).await;
    assert_eq!((ended.code, &*ended.stderr), (0, ""), "{ended:?}");
    assert_eq!(fs_err::read_to_string(upper.join("new")).unwrap(), "kept\n");
    spec.args = ["cat", "/new", "/tmp/y"].map(str::to_owned).to_vec();
    assert_eq!(stage.run(spec).await.stdout, "kept\nx\n");
}

async fn binds(stage: &Stage) {
    let shared = stage.directory("shared");
    set_mode(&shared, 0o777);
    fs_err::write(shared.join("file"), "here").unwrap();
    let script = "cat /new/mount/point/file /one; echo more > /new/mount/point/made; \
        echo no > /read-only/made; echo $?; rm /one; echo no > /one; echo $?";
    let mut spec = stage.shell(script);
    spec.mounts.extend([
        bind(&shared, "/new/mount/point", Access::ReadWrite),
        bind(&shared, "/read-only", Access::ReadOnly),
        bind(shared.join("file"), "/one", Access::ReadOnly),
    ]);
    let ended = stage.run(spec).await;
    assert!(ended.stdout.starts_with("herehere"), "{ended:?}");
    assert!(!ended.stdout.lines().any(|line| line == "0"), "{ended:?}");
    assert_eq!(
        fs_err::read_to_string(shared.join("made")).unwrap(),
        "more\n"
    );
    assert_eq!(fs_err::read_to_string(shared.join("file")).unwrap(), "here");
}

async fn overlay_mount(stage: &Stage) {
    let directories = ["o-lower", "o-upper", "o-work"].map(|name| stage.directory(name));
    let [lower, upper, work] = directories;
    set_mode(&lower, 0o777);
    set_mode(&upper, 0o777);
    fs_err::write(lower.join("file"), "below").unwrap();
    let mut spec = stage.shell("cat /project/file; echo changed > /project/other");
    spec.mounts.push(Mount {
        target: "/project".into(),
        access: Access::ReadWrite,
        kind: MountKind::Overlay {
            lower: lower.clone(),
            upper: upper.clone(),
            work,
        },
    });
    let mut read_only = spec.clone();
    let ended = stage.run(spec).await;
    assert_eq!((&*ended.stdout, ended.code), ("below", 0), "{ended:?}");
    assert!(!lower.join("other").exists());
    assert!(upper.join("other").exists());

    if let Some(mount) = read_only.mounts.last_mut() {
        mount.access = Access::ReadOnly;
    }
    let ended = stage.run(read_only).await;
    assert_ne!(ended.code, 0);
    assert!(ended.stderr.contains("Read-only"), "{ended:?}");
}

async fn tmpfs_mount(stage: &Stage) {
    let mut spec = stage.shell("echo x > /scratch/x && stat -f -c %T /scratch");
    spec.mounts.push(Mount {
        target: "/scratch".into(),
        access: Access::ReadWrite,
        kind: MountKind::Tmpfs,
    });
    assert_eq!(stage.run(spec).await.stdout, "tmpfs\n");
}

/// Links of the image lead mount points to places in the image.
async fn targets_stay_inside(stage: &Stage) {
    let outside = stage.directory("outside");
    let image = stage.directory("links");
    let link = |target: &str, name: &str| {
        fs_err::os::unix::fs::symlink(target, image.join(name)).unwrap();
    };
    link(outside.to_str().unwrap(), "absolute");
    link("../../../../../../../..", "up");
    link("/proc/self/fd", "magic");
    let given = stage.directory("given");
    let mut spec = stage.shell("ls /up /absolute");
    spec.lowers.insert(0, image);
    let deep = format!("/up{}/deep", outside.display());
    for target in ["/absolute/made", &deep] {
        spec.mounts.push(bind(&given, target, Access::ReadOnly));
    }
    let ended = stage.run(spec).await;
    assert!(ended.stdout.contains("made"), "{ended:?}");
    assert_eq!(fs_err::read_dir(outside).unwrap().count(), 0);
}

async fn provided(stage: &Stage) {
    let image = stage.directory("dangling");
    fs_err::create_dir(image.join("etc")).unwrap();
    let stub = "../run/systemd/resolve/stub-resolv.conf";
    fs_err::os::unix::fs::symlink(stub, image.join("etc/resolv.conf")).unwrap();
    let mut spec =
        stage.shell("cat /etc/hosts /etc/hostname; cat /etc/resolv.conf; echo x > /etc/hosts");
    spec.lowers.insert(0, image);
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    spec.extra_hosts
        .push(("registry.example".to_owned(), address));
    let isolated = stage.run(spec.clone()).await;
    for line in [
        "127.0.0.1\tlocalhost",
        "127.0.0.1\tregistry.example",
        "stage",
    ] {
        assert!(isolated.stdout.lines().any(|found| found == line), "{line}");
    }
    assert!(isolated.stderr.contains("resolv.conf"), "{isolated:?}");
    assert_ne!(isolated.code, 0, "{isolated:?}");

    spec.network = Network::Host;
    let connected = stage.run(spec).await;
    let own = fs_err::read_to_string("/etc/resolv.conf").unwrap();
    assert!(connected.stdout.ends_with(&own), "{connected:?}");
}

async fn working_directory_link(stage: &Stage) {
    let image = stage.directory("cwd");
    fs_err::create_dir(image.join("inside")).unwrap();
    fs_err::os::unix::fs::symlink("/inside", image.join("work")).unwrap();
    let mut spec = stage.spec(&["/bin/pwd", "-P"]);
    spec.lowers.insert(0, image);
    spec.cwd = "/work".into();
    assert_eq!(stage.run(spec).await.stdout, "/inside\n");
}

async fn directories_are_made(stage: &Stage) {
    let image = stage.directory("made");
    fs_err::create_dir_all(image.join("real/kept")).unwrap();
    set_mode(&image.join("real/kept"), 0o711);
    // Only root may enter.
    fs_err::create_dir(image.join("closed")).unwrap();
    set_mode(&image.join("closed"), 0o700);
    fs_err::os::unix::fs::symlink("/real", image.join("link")).unwrap();
    fs_err::os::unix::fs::symlink("../../../gone/away", image.join("dangling")).unwrap();
    let mut spec = stage.spec(&[
        "sh",
        "-c",
        "pwd -P; stat -c '%n %a' /real/kept /gone/away /real/new/deep",
    ]);
    spec.lowers.insert(0, image);
    spec.directories = ["/link/new/deep", "/dangling", "/real/kept"]
        .map(PathBuf::from)
        .to_vec();
    spec.cwd = "/link/new/deep".into();
    let ended = stage.run(spec.clone()).await;
    let expected = "/real/new/deep\n/real/kept 711\n/gone/away 755\n/real/new/deep 755\n";
    assert_eq!(ended.stdout, expected, "{ended:?}");
    spec.cwd = "/closed".into();
    spec.args = vec!["true".to_owned()];
    assert_eq!(stage.run(spec).await.code, 0);
}

async fn state_stays_empty(stage: &Stage) {
    stage.run(stage.spec(&["true"])).await;
    let containers = fs_err::read_dir(stage.state()).unwrap();
    let paths: Vec<PathBuf> = containers.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths, [stage.state().join("containers")]);
    let left = fs_err::read_dir(stage.state().join("containers")).unwrap();
    assert_eq!(left.count(), 0);
}
