//! Accounts at a real registry that wants one.

use std::os::unix::fs::PermissionsExt as _;

use harness::{App, PrivateRegistry, locald, unique};

use super::{build, digest};

#[test]
fn an_account_is_saved_used_and_forgotten() {
    let registry = PrivateRegistry::start("secret");
    let name = unique("account");
    build(&App::web(), &name);
    let target = format!("{}/private", registry.address());
    let no_docker = tempfile::tempdir().unwrap();
    let no_docker = no_docker.path().to_str().unwrap();
    let push = || locald(["push", &name, &target]).env("DOCKER_CONFIG", no_docker);
    push().fail(113, &format!("locald login {}", registry.address()));
    let login = |password: &str| {
        let arguments = ["login", registry.address(), "-u", "me", "--password-stdin"];
        locald(arguments).input(password).succeed();
    };
    login("wrong\n");
    let refused = push().fail(113, registry.address());
    assert!(!refused.stderr.contains("wrong"), "{}", refused.stderr);
    login("secret\n");
    push().succeed();
    let fresh = tempfile::tempdir().unwrap();
    let pull = || locald(["pull", &target]).home(fresh.path());
    pull().env("DOCKER_CONFIG", no_docker).fail(113, "private");
    locald(["logout", registry.address()]).succeed();
    push().fail(113, registry.address());

    // What `docker login` has saved, and what a credential helper knows.
    let docker = tempfile::tempdir().unwrap();
    let config = docker.path().join("config.json");
    let known = docker.path().to_str().unwrap();
    let auths = format!(
        r#"{{"auths": {{"{}": {{"auth": "bWU6c2VjcmV0"}}}}}}"#,
        registry.address()
    );
    fs_err::write(&config, auths).unwrap();
    let pulled = pull().env("DOCKER_CONFIG", known).succeed();
    let digest = digest(&name);
    assert!(pulled.stdout.contains(&digest), "{}", pulled.stdout);
    fs_err::write(&config, r#"{"credsStore": "locald-test"}"#).unwrap();
    let helper = docker.path().join("docker-credential-locald-test");
    let script = "#!/bin/sh\nread server\n\
        echo '{\"ServerURL\": \"'$server'\", \"Username\": \"me\", \"Secret\": \"secret\"}'\n";
    fs_err::write(&helper, script).unwrap();
    fs_err::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{known}:{}", std::env::var("PATH").unwrap());
    pull()
        .env("DOCKER_CONFIG", known)
        .env("PATH", &path)
        .succeed();
}
