//! Tests of the order in which files and helpers provide an account.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn file(text: &str) -> ConfigFile {
    ConfigFile::parse(Path::new("config.json"), text.as_bytes()).unwrap()
}

fn basic(username: &str, password: &str) -> Account {
    Account::new(username.to_owned(), Secret::from(password.to_owned()))
}

/// Returns the source of a registry's account as text.
fn found(file: &ConfigFile, registry: &str) -> String {
    match file.find(&AccountKey::new(registry)) {
        Ok(Source::Account(account)) => match Credential::from(account) {
            Credential::Basic { username, password } => format!("{username}:{password}"),
            Credential::Identity { token } => format!("token {token}"),
        },
        Ok(Source::Helper(name)) => format!("helper {name}"),
        Ok(Source::Nothing) => "nothing".to_owned(),
        Err(error) => format!("error {error}"),
    }
}

#[test]
fn entries_are_read_in_all_their_forms() {
    let auth = STANDARD.encode("me:pass:word\0");
    let token = STANDARD.encode("<token>:abc");
    let text = format!(
        r#"{{"auths": {{
            "https://index.docker.io/v1/": {{"auth": "{auth}"}},
            "ghcr.io": {{"auth": "{token}"}},
            "https://quay.io": {{"identitytoken": "xyz", "auth": "aWdub3JlZDo="}},
            "r.example": {{"username": "u", "password": "p"}},
            "r.example/only/this": {{"auth": "eDp5"}},
            "empty.example": {{}},
            "bad.example": {{"auth": "%%%"}}
        }}, "HttpHeaders": {{"User-Agent": "x"}}}}"#
    );
    let file = file(&text);
    let cases = [
        ("docker.io", "me:pass:word"),
        ("ghcr.io", "token abc"),
        ("quay.io", "token xyz"),
        ("r.example", "u:p"),
        ("empty.example", "nothing"),
        ("other.example", "nothing"),
        (
            "bad.example",
            "error the account of bad.example in config.json is not valid",
        ),
    ];
    for (registry, expected) in cases {
        assert_eq!(found(&file, registry), expected, "{registry}");
    }
}

#[test]
fn helpers_of_one_registry_beat_entries_and_the_store_of_all() {
    let file = file(
        r#"{"auths": {"a.example": {"auth": "eDp5"}, "b.example": {"auth": "eDp5"}, "c.example": {}},
            "credHelpers": {"https://a.example": "special", "d.example": ""},
            "credsStore": "desktop"}"#,
    );
    assert_eq!(found(&file, "a.example"), "helper special");
    assert_eq!(found(&file, "b.example"), "x:y");
    assert_eq!(found(&file, "c.example"), "helper desktop");
    assert_eq!(found(&file, "d.example"), "helper desktop");
    assert_eq!(file.helpers().collect::<Vec<_>>(), ["special", "desktop"]);
}

#[test]
fn the_entry_with_the_longest_path_counts() {
    let file = file(
        r#"{"auths": {
            "quay.io": {"auth": "YTp3aG9sZQ=="},
            "quay.io/me": {"auth": "YTptZQ=="},
            "quay.io/me/shop": {"auth": "YTpzaG9w"},
            "quay.io/me/empty": {},
            "docker.io/me": {"auth": "YTpodWI="}
        }, "credHelpers": {"ecr.example": "ecr"}}"#,
    );
    for (name, expected) in [
        ("quay.io", "a:whole"),
        ("quay.io/other/app", "a:whole"),
        ("quay.io/mean/app", "a:whole"),
        ("quay.io/me/app", "a:me"),
        ("quay.io/me/empty", "a:me"),
        ("quay.io/me/shop", "a:shop"),
        ("quay.io/me/shop/part", "a:shop"),
        ("docker.io/me/app", "a:hub"),
        ("docker.io/library/app", "nothing"),
        ("ecr.example/any/app", "helper ecr"),
    ] {
        assert_eq!(found(&file, name), expected, "{name}");
    }
}

#[test]
fn what_is_null_is_not_there() {
    for text in [
        r#"{"auths": null}"#,
        r#"{"auths": {"r.example": null}}"#,
        r#"{"auths": {"r.example": {"auth": null, "username": null}}, "credHelpers": null}"#,
        r#"{"credHelpers": {"r.example": null}, "credsStore": null}"#,
    ] {
        assert_eq!(found(&file(text), "r.example/app"), "nothing", "{text}");
    }
    let other = file(r#"{"auths": {"a.example": null, "r.example": {"auth": "eDp5"}}}"#);
    assert_eq!(found(&other, "r.example/app"), "x:y");
}

#[test]
fn empty_files_and_wrong_ones() {
    assert_eq!(found(&file(""), "docker.io"), "nothing");
    let error = ConfigFile::parse(Path::new("config.json"), b"[]").unwrap_err();
    assert!(matches!(error, CredentialError::Syntax { .. }));
}

#[test]
fn secrets_are_not_shown() {
    let account = basic("me", "hunter2");
    let entry = file(r#"{"auths": {"a": {"auth": "aHVudGVyMg==", "password": "hunter2"}}}"#);
    let answer = HelperAnswer::Found {
        username: "me".to_owned(),
        secret: Secret::from("hunter2".to_owned()),
    };
    for text in [
        format!("{account:?}"),
        format!("{entry:?}"),
        format!("{answer:?}"),
    ] {
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
            "{text}"
        );
    }
}

#[test]
fn saved_accounts_are_found_again_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config/auth.json");
    let key = RegistryKey::new("https://index.docker.io/v1/");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, r#"{"auths": null}"#).unwrap();
    SavedAccounts::open(&path)
        .unwrap()
        .set(&key, &basic("me", "pw"))
        .unwrap();
    let read = ConfigFile::read(&path).unwrap().unwrap();
    assert_eq!(found(&read, "docker.io"), "me:pw");
    let mut saved = SavedAccounts::open(&path).unwrap();
    assert!(saved.remove(&key).unwrap());
    assert!(!saved.remove(&key).unwrap());
    let read = ConfigFile::read(&path).unwrap().unwrap();
    assert_eq!(found(&read, "docker.io"), "nothing");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs_err::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
