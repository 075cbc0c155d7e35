//! Containers that are not started, and what is said about them.

use agent::container::ContainerError;
use protocol::{Failure, FailureKind};

use crate::stage::{Stage, bind, explain, set_mode};
use agent::container::Access;

pub(crate) const TESTS: &[crate::Test] = &[
    ("refusal::reserved_paths", |stage| {
        Box::pin(reserved_paths(stage))
    }),
    ("refusal::missing_program", |stage| {
        Box::pin(missing_program(stage))
    }),
    ("refusal::unusable_program", |stage| {
        Box::pin(unusable_program(stage))
    }),
    ("refusal::missing_interpreter", |stage| {
        Box::pin(missing_interpreter(stage))
    }),
    ("refusal::working_directory", |stage| {
        Box::pin(working_directory(stage))
    }),
    ("refusal::missing_layer", |stage| {
        Box::pin(missing_layer(stage))
    }),
    ("refusal::missing_mount_source", |stage| {
        Box::pin(missing_mount_source(stage))
    }),
    ("refusal::hostile_environment", |stage| {
        Box::pin(hostile_environment(stage))
    }),
];

/// Followed, such a link would make libcontainer write to the machine.
async fn reserved_paths(stage: &Stage) {
    let outside = stage.directory("reserved-outside");
    for (number, name) in ["dev", "proc", "sys"].into_iter().enumerate() {
        let image = stage.directory(&format!("reserved-{number}"));
        fs_err::os::unix::fs::symlink(&outside, image.join(name)).unwrap();
        let mut spec = stage.spec(&["true"]);
        spec.lowers.insert(0, image);
        let error = stage.refused(spec).await;
        assert!(
            matches!(&error, ContainerError::ReservedPath { path } if path.ends_with(name)),
            "{}",
            explain(&error)
        );
        assert_eq!(Failure::from(error).kind, FailureKind::Integrity);
    }
    assert_eq!(fs_err::read_dir(outside).unwrap().count(), 0);
}

async fn missing_program(stage: &Stage) {
    for program in ["no-such-program", "/no/such/program"] {
        let error = stage.refused(stage.spec(&[program])).await;
        assert_eq!(
            error.to_string(),
            format!("{program:?} cannot be run in the container")
        );
        let failure = Failure::from(error);
        assert!(failure.hint.is_some());
        assert!(failure.causes.join(" ").contains("No such file"));
    }
}

/// The program is there, and the kernel says that something is not.
async fn missing_interpreter(stage: &Stage) {
    let image = stage.directory("interpreters");
    fs_err::create_dir(image.join("opt")).unwrap();
    let add = |name: &str, text: &str| {
        let path = image.join("opt").join(name);
        fs_err::write(&path, text).unwrap();
        set_mode(&path, 0o755);
    };
    add("start", "#!/no/such/bash -e\n");
    add("windows", "#!/bin/sh\r\nexit\r\n");
    add("folder", "#!/etc\n");
    for (program, interpreter, cause, hint) in [
        (
            "/opt/start",
            "/no/such/bash",
            "No such file",
            "use an image that has it",
        ),
        (
            "start",
            "/no/such/bash",
            "No such file",
            "use an image that has it",
        ),
        ("windows", "/bin/sh\r", "No such file", "CRLF"),
        ("folder", "/etc", "ermission denied", "may execute"),
    ] {
        let mut spec = stage.spec(&[program]);
        spec.lowers.insert(0, image.clone());
        spec.env[0].1.push_str(":/opt");
        let failure = Failure::from(stage.refused(spec).await);
        let expected =
            format!("{program:?} cannot be run in the container: it needs {interpreter:?}");
        assert_eq!(failure.message, expected);
        assert!(failure.causes.concat().contains(cause), "{failure:?}");
        assert!(failure.hint.as_ref().unwrap().contains(hint), "{failure:?}");
    }
}

async fn unusable_program(stage: &Stage) {
    let error = stage.refused(stage.spec(&["/etc"])).await;
    assert!(
        explain(&error).contains("Permission denied"),
        "{}",
        explain(&error)
    );
}

async fn working_directory(stage: &Stage) {
    for path in [
        "/nowhere",
        "/proc/self/fd/3",
        "/proc/self/root",
        "/proc/self/cwd",
        "/proc/1/root",
        "/usr/bin/env",
    ] {
        let mut spec = stage.spec(&["true"]);
        spec.cwd = path.into();
        let error = stage.refused(spec).await;
        let expected = format!("the working directory {path} of the container cannot be entered");
        assert_eq!(error.to_string(), expected, "{}", explain(&error));
    }
}

async fn missing_layer(stage: &Stage) {
    let mut spec = stage.spec(&["true"]);
    spec.lowers.push("/no/such/layer".into());
    let error = stage.refused(spec).await;
    assert_eq!(
        explain(&error),
        "the container cannot be set up: 2 layers cannot be stacked at /: \
         No such file or directory (os error 2)"
    );
}

async fn missing_mount_source(stage: &Stage) {
    let mut spec = stage.spec(&["true"]);
    spec.mounts
        .push(bind("/no/such/file", "/given", Access::ReadOnly));
    let error = stage.refused(spec).await;
    assert!(
        explain(&error).contains("/given cannot be mounted"),
        "{}",
        explain(&error)
    );
}

async fn hostile_environment(stage: &Stage) {
    let mut spec = stage.spec(&["true"]);
    spec.env.push(("A".to_owned(), "x\0y".to_owned()));
    let error = stage.refused(spec).await;
    assert_eq!(Failure::from(error).kind, FailureKind::Invalid);

    let mut spec = stage.shell("printf '%s' \"$GLOB\"; env | grep -c LD_");
    spec.env
        .push(("GLOB".to_owned(), "*?[a]$(id)\n;é".to_owned()));
    let ended = stage.run(spec).await;
    assert_eq!(ended.stdout, "*?[a]$(id)\n;é0\n");
}
