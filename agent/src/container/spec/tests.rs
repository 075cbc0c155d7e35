//! Tests which specifications are refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{
    Access, ContainerSpec, Mount, MountKind, Network, Path, PathBuf, SpecError, Stdio, Upper, User,
};

fn plain() -> ContainerSpec {
    ContainerSpec {
        lowers: vec!["/layers/a".into()],
        upper: Upper::Memory,
        directories: Vec::new(),
        mounts: Vec::new(),
        args: vec!["true".to_owned()],
        env: vec![("PATH".to_owned(), "/bin".to_owned())],
        cwd: "/".into(),
        user: User {
            uid: 1000,
            gid: 1000,
            groups: vec![1000, 5, 5],
        },
        hostname: "box".to_owned(),
        network: Network::None,
        stdio: Stdio::Pipes,
        extra_hosts: Vec::new(),
    }
}

fn refused(change: impl FnOnce(&mut ContainerSpec)) -> Option<SpecError> {
    let mut spec = plain();
    change(&mut spec);
    spec.validate().err()
}

fn mounted_at(target: &str) -> Option<SpecError> {
    refused(|spec| {
        spec.mounts.push(Mount {
            target: target.into(),
            access: Access::ReadOnly,
            kind: MountKind::Tmpfs,
        });
    })
}

#[test]
fn a_plain_container_is_accepted() {
    assert_eq!(refused(|_| {}), None);
    assert_eq!(plain().user.other_groups(), [5]);
}

#[test]
fn layers_are_counted() {
    assert_eq!(
        refused(|spec| spec.lowers.clear()),
        Some(SpecError::NoLayers)
    );
    assert_eq!(
        refused(|spec| spec.lowers = vec!["/layers/a".into(); 501]),
        Some(SpecError::TooManyLayers(501))
    );
}

#[test]
fn programs_and_arguments_are_checked() {
    assert_eq!(
        refused(|spec| spec.args.clear()),
        Some(SpecError::NoProgram)
    );
    assert_eq!(
        refused(|spec| spec.args = vec![String::new()]),
        Some(SpecError::NoProgram)
    );
    assert_eq!(
        refused(|spec| spec.args.push("a\0b".to_owned())),
        Some(SpecError::Argument("a\0b".to_owned()))
    );
}

#[test]
fn the_environment_is_checked() {
    for name in ["", "A=B", "A\0"] {
        assert_eq!(
            refused(|spec| spec.env.push((name.to_owned(), String::new()))),
            Some(SpecError::VariableName(name.to_owned()))
        );
    }
    assert_eq!(
        refused(|spec| spec.env.push(("A".to_owned(), "\0".to_owned()))),
        Some(SpecError::VariableValue("A".to_owned()))
    );
    let glob = ("A".to_owned(), "*=$(x) é".to_owned());
    assert_eq!(refused(|spec| spec.env.push(glob)), None);
}

#[test]
fn paths_are_absolute_and_plain() {
    for path in ["", "a", "/a/../b", "../x", "./a"] {
        assert_eq!(
            refused(|spec| spec.cwd = path.into()),
            Some(SpecError::Path(path.into()))
        );
    }
    let latin = PathBuf::from(OsStr::from_bytes(b"/layers/\xe9"));
    assert_eq!(
        refused(|spec| spec.lowers.push(latin.clone())),
        Some(SpecError::Encoding(latin))
    );
}

#[test]
fn the_containers_own_mounts_stay() {
    for target in ["/", "/dev", "/dev/shm", "/proc/self", "/sys/fs"] {
        assert_eq!(
            mounted_at(target),
            Some(SpecError::MountTarget(Path::new(target).to_owned()))
        );
    }
    assert_eq!(mounted_at("/devices"), None);
}

#[test]
fn host_names_cannot_break_a_line() {
    for name in ["", "a b", "a\nb", "a#"] {
        assert_eq!(
            refused(|spec| spec.hostname = name.to_owned()),
            Some(SpecError::Hostname(name.to_owned()))
        );
    }
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    assert_eq!(
        refused(|spec| spec.extra_hosts.push(("a\tb".to_owned(), address))),
        Some(SpecError::Hostname("a\tb".to_owned()))
    );
}
