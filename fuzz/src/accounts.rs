//! What registries ask for, and where accounts are kept.

/// A `WWW-Authenticate` header.
pub(crate) fn www_authenticate(bytes: &[u8]) {
    let Ok(header) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(realm) = agent::fuzzing::realm(header) {
        assert!(header.contains(&realm) && !realm.contains('"'));
    }
}

/// docker's `config.json`. A file that names no registry has no account.
pub(crate) fn docker_config(bytes: &[u8]) {
    for registry in ["docker.io", "registry.example:5000"] {
        let knows = locald::fuzzing::knows_account(bytes, registry);
        assert!(
            !knows || bytes.windows(5).any(|window| window == b"auths") || bytes.contains(&b'\\')
        );
    }
}
