//! Tests of the precedence of settings, and of errors in settings files.

#![expect(clippy::unwrap_used, reason = "tests")]

use protocol::Failure;

mod services;

use super::*;

/// Returns the overrides of these flags of `locald build`.
fn overrides(words: &[&str]) -> BuildOverrides {
    let mut overrides = BuildOverrides::default();
    for flag in words.chunks(2) {
        let value = flag[1].to_owned();
        match flag[0] {
            "-t" => overrides.names.push(value),
            "-B" => overrides.builder = Some(value),
            "-b" => overrides.buildpacks.push(value),
            "-e" => overrides.env.push(value.parse().unwrap()),
            "--include" => overrides.include.push(value),
            "--pre-buildpack" => overrides.pre_buildpacks.push(value),
            other => unreachable!("not the flag {other}"),
        }
    }
    overrides
}

/// Makes settings from the texts of the three files.
fn settings(project: &str, descriptor: &str, user: &str) -> Result<Settings, SettingsError> {
    Ok(Settings {
        project: ProjectFile::parse(Path::new("locald.toml"), project)?,
        descriptor: Descriptor::parse(Path::new("project.toml"), descriptor)?,
        user: UserFile::parse(Path::new("config.toml"), user)?,
        boundary: Boundary::default(),
        elsewhere: None,
        remembered: None,
    })
}

fn build(settings: &Settings, words: &[&str]) -> BuildSettings {
    settings
        .build(Path::new("/src/My Shop"), &overrides(words))
        .unwrap()
}

/// Returns the failure as the user reads it.
fn told(error: SettingsError) -> String {
    let failure = Failure::from(error);
    format!("{}\n{}", failure.message, failure.hint.unwrap_or_default())
}

const DESCRIPTOR: &str = r#"
[_]
schema-version = "0.2"
[io.buildpacks]
builder = "descriptor/builder"
exclude = ["/docs"]
[[io.buildpacks.group]]
id = "a/b"
version = "1.0"
[[io.buildpacks.group]]
uri = "docker://c/d"
[[io.buildpacks.build.env]]
name = "LEVEL"
value = "descriptor"
[[io.buildpacks.build.env]]
name = "KEPT"
value = "yes"
"#;

#[test]
fn defaults_work_alone() {
    let settings = settings("", "", "").unwrap();
    let build = build(&settings, &[]);
    assert_eq!(build.builder, "heroku/builder:26");
    assert_eq!(build.builder_origin, BuilderOrigin::Default);
    assert_eq!(build.names, ["my-shop"]);
    assert_eq!(build.renamed_from.as_deref(), Some("My Shop"));
    assert_eq!(build.network, NetworkChoice::Host);
    assert_eq!(build.pull, PullChoice::Daily);
    assert_eq!(build.filter, SourceFilter::All);
}

#[test]
fn each_source_beats_the_next() {
    let project = "[build]\nbuilder = \"project/builder\"\nnetwork = \"none\"";
    let user = "[build]\nbuilder = \"user/builder\"\nnetwork = \"host\"\npull = \"never\"";
    let all = settings(project, DESCRIPTOR, user).unwrap();
    assert_eq!(build(&all, &["-B", "flag/builder"]).builder, "flag/builder");
    let resolved = build(&all, &[]);
    assert_eq!(resolved.builder, "project/builder");
    assert_eq!(resolved.network, NetworkChoice::None);
    assert_eq!(resolved.pull, PullChoice::Never);
    let without_project = settings("", DESCRIPTOR, user).unwrap();
    assert_eq!(build(&without_project, &[]).builder, "descriptor/builder");
    let mut only_user = settings("", "", user).unwrap();
    assert_eq!(build(&only_user, &[]).builder, "user/builder");
    only_user.remembered = Some("last/builder".to_owned());
    let resolved = build(&only_user, &[]);
    assert_eq!(resolved.builder, "last/builder");
    assert_eq!(resolved.builder_origin, BuilderOrigin::Remembered);
    let flagged = build(&only_user, &["-B", "flag/builder"]);
    assert_eq!(flagged.builder_origin, BuilderOrigin::Flag);
}

#[test]
fn names_come_from_flags_then_build_then_project_then_folder() {
    let both = settings(
        "[project]\nname = \"Shop\"\n[build]\nname = \"a/b:1\"",
        "",
        "",
    )
    .unwrap();
    assert_eq!(build(&both, &["-t", "x", "-t", "y"]).names, ["x", "y"]);
    assert_eq!(build(&both, &[]).names, ["a/b:1"]);
    let project = settings("[project]\nname = \"Shop\"", "", "").unwrap();
    let resolved = build(&project, &[]);
    assert_eq!(resolved.names, ["shop"]);
    assert_eq!(resolved.renamed_from.as_deref(), Some("Shop"));
}

#[test]
fn variables_of_later_sources_replace_those_of_earlier_ones() {
    let project = "[build.env]\nLEVEL = \"project\"\nOTHER = \"1\"";
    let settings = settings(project, DESCRIPTOR, "").unwrap();
    let pairs = |words: &[&str]| -> Vec<String> {
        let variables = build(&settings, words).env;
        let lines = variables
            .into_iter()
            .map(|it| format!("{}={}", it.name, it.value));
        lines.collect()
    };
    assert_eq!(pairs(&[]), ["LEVEL=project", "KEPT=yes", "OTHER=1"]);
    assert_eq!(pairs(&["-e", "LEVEL=flag"])[0], "LEVEL=flag");
}

#[test]
fn the_descriptor_names_buildpacks_and_files() {
    let settings = settings("", DESCRIPTOR, "").unwrap();
    let resolved = build(&settings, &[]);
    let expected = [
        BuildpackChoice::Named("a/b@1.0".to_owned()),
        BuildpackChoice::Image("c/d".to_owned()),
    ];
    assert_eq!(resolved.buildpacks, expected);
    assert_eq!(
        resolved.filter,
        SourceFilter::Exclude(vec!["/docs".to_owned()])
    );
    let flagged = build(&settings, &["-b", "x/y"]);
    assert_eq!(
        flagged.buildpacks,
        [BuildpackChoice::Named("x/y".to_owned())]
    );
}

#[test]
fn the_first_schema_is_read_too() {
    let text = r#"
[project]
name = "ignored"
[build]
builder = "old/builder"
include = ["src/"]
[[build.buildpacks]]
id = "a/b"
[[build.env]]
name = "A"
value = "1"
[com.example]
anything = true
"#;
    let settings = settings("", text, "").unwrap();
    let resolved = build(&settings, &[]);
    assert_eq!(resolved.builder, "old/builder");
    assert_eq!(
        resolved.filter,
        SourceFilter::Include(vec!["src/".to_owned()])
    );
    assert_eq!(
        resolved.buildpacks,
        [BuildpackChoice::Named("a/b".to_owned())]
    );
    assert_eq!(resolved.env[0].name.as_str(), "A");
}

#[test]
fn the_descriptor_is_read_as_pack_reads_it() {
    let text = r#"
[_]
schema-version = "0.3"
name = "shop"
[com.example]
anything = true
[io.buildpacks]
buidler = "a misspelt key does no harm"
[[io.buildpacks.group]]
id = "x/y"
uri = "docker://c/d"
[[io.buildpacks.group]]
id = "only/tests"
exec-env = ["test"]
[[io.buildpacks.build.env]]
name = "BOTH"
value = "1"
exec-env = ["test", "production"]
[[io.buildpacks.build.env]]
name = "TEST"
value = "1"
exec-env = ["test"]
"#;
    let resolved = build(&settings("", text, "").unwrap(), &[]);
    let image = BuildpackChoice::Image("c/d".to_owned());
    assert_eq!(resolved.buildpacks, [image]);
    let names: Vec<_> = resolved.env.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["BOTH"]);
    assert_eq!(resolved.unknown_keys, ["io.buildpacks.buidler"]);
}

/// A descriptor with a buildpack in each list.
const AROUND: &str = r#"
[_]
schema-version = "0.2"
name = "shop"
colour = "blue"
[_.metadata]
anything = true
[[io.buildpacks.pre.group]]
id = "first"
[[io.buildpacks.pre.group]]
id = "second"
uri = "docker://a/second"
version = "1"
[[io.buildpacks.group]]
id = "me/greeting"
script = { api = "0.10", inline = "echo hello", shell = "/bin/bash", other = 1 }
[[io.buildpacks.post.group]]
id = "last"
version = "2"
"#;

#[test]
fn buildpacks_go_around_a_group_as_pack_puts_them() {
    let settings = settings("", AROUND, "").unwrap();
    let named = |id: &str| BuildpackChoice::Named(id.to_owned());
    let resolved = build(&settings, &[]);
    let second = BuildpackChoice::Image("a/second".to_owned());
    assert_eq!(resolved.pre_buildpacks, [second, named("first")]);
    assert_eq!(resolved.post_buildpacks, [named("last@2")]);
    assert!(matches!(
        resolved.buildpacks[..],
        [BuildpackChoice::Inline(_)]
    ));
    let unknown = ["_.colour", "io.buildpacks.group.0.script.other"];
    assert_eq!(resolved.unknown_keys, unknown);
    let flags = ["--pre-buildpack", "a", "--pre-buildpack", "b"];
    let resolved = build(&settings, &flags);
    assert_eq!(resolved.pre_buildpacks, [named("b"), named("a")]);
    assert_eq!(resolved.post_buildpacks, [named("last@2")]);
}

#[test]
fn flags_say_which_files_belong_to_the_source() {
    let exclude = "[build]\nexclude = [\"docs\"]";
    let all = settings("[build]\ngitignore = false", exclude, "").unwrap();
    let resolved = build(&all, &["--include", "dist/"]);
    let include = SourceFilter::Include(vec!["dist/".to_owned()]);
    assert_eq!(resolved.filter, include);
    assert_eq!(resolved.gitignore, GitIgnoreChoice::LeftOut);
    let resolved = build(&settings("", exclude, "").unwrap(), &[]);
    assert_eq!(resolved.gitignore, GitIgnoreChoice::Count);
    let overrides = BuildOverrides {
        leaves_out_gitignore: true,
        ..BuildOverrides::default()
    };
    let resolved = settings("", "", "").unwrap();
    let resolved = resolved.build(Path::new("/src"), &overrides).unwrap();
    assert_eq!(resolved.gitignore, GitIgnoreChoice::LeftOut);
}

#[test]
fn a_build_has_no_more_buildpacks_than_anybody_needs() {
    let group = "[[io.buildpacks.pre.group]]\nid = \"a\"\n".repeat(10_000);
    let text = format!("[_]\nschema-version = \"0.2\"\n{group}");
    let settings = settings("", &text, "").unwrap();
    let error = settings
        .build(Path::new("/src"), &BuildOverrides::default())
        .unwrap_err();
    assert!(matches!(error, SettingsError::TooManyBuildpacks { .. }));
}

#[test]
fn a_descriptor_may_be_elsewhere() {
    let top = tempfile::tempdir().unwrap();
    let top = dunce::canonicalize(top.path()).unwrap();
    let (project, other) = (top.join("project"), top.join("other"));
    fs_err::create_dir(&project).unwrap();
    fs_err::create_dir_all(other.join("mine")).unwrap();
    fs_err::write(project.join("project.toml"), "[build]\nbuilder = \"own\"").unwrap();
    fs_err::write(other.join("mine/buildpack.toml"), "").unwrap();
    let file = other.join("ci.toml");
    let text = "[build]\nbuilder = \"ci\"\n[[build.buildpacks]]\nuri = \"./mine\"";
    fs_err::write(&file, text).unwrap();
    let home = Home::below(&top.join("home"));
    let load = |file: &Path| {
        let settings = Settings::load_without_descriptor(&project, &home).unwrap();
        settings.with_descriptor(file)
    };
    let resolved = load(&file)
        .unwrap()
        .build(&project, &BuildOverrides::default())
        .unwrap();
    assert_eq!(resolved.builder, "ci");
    assert_eq!(resolved.descriptor, file);
    let mine = BuildpackChoice::Folder(other.join("mine"));
    assert_eq!(resolved.buildpacks, [mine]);
    let missing = load(&other.join("missing.toml")).unwrap_err();
    assert!(matches!(missing, SettingsError::Unreadable { .. }));
}

#[test]
fn wrong_files_are_told_where_and_what() {
    let project = |text: &str| told(settings(text, "", "").unwrap_err());
    let descriptor = |text: &str| {
        let text = format!("[_]\nschema-version = \"0.2\"\n{text}");
        told(settings("", &text, "").unwrap_err())
    };
    let told = [
        project("[build]\n\nbuidler = \"x\""),
        project("[service.web]\ncommand = \"x\""),
        project("[build]\nnetwork = \"bridge\""),
        project("[build]\nbuilder = 1"),
        project("[build\n"),
        project("[registries.\"docker.io\"]\nmiror = \"x\""),
        descriptor("[[io.buildpacks.group]]\nuri = \"x\"\nversion = \"1\""),
        descriptor("[io.buildpacks]\ninclude = []\nexclude = []"),
        descriptor(
            "[[io.buildpacks.group]]\nid = \"x\"\n[io.buildpacks.group.script]\ninline = \"y\"",
        ),
        descriptor("[[io.buildpacks.group]]\nversion = \"1\""),
        descriptor("[[io.buildpacks.pre.group]]\nversion = \"1\""),
        project("[build]\nenv = { \"../../../etc/x\" = \"y\" }"),
        project("[build.env]\nA = \"1\"\n\"\" = \"y\""),
        project("[build.env]\nA = \"1\\u0000\""),
        project("[services.web.build.env]\nA = \"1\"\n\"..\" = \"y\""),
        descriptor("[[io.buildpacks.build.env]]\nname = \"/etc/x\"\nvalue = \"y\""),
        descriptor("[[io.buildpacks.env.build]]\nname = \"A=B\"\nvalue = \"y\""),
        told(settings("", "[[build.env]]\nvalue = \"y\"\nname = \".\"", "").unwrap_err()),
        told(settings("", "[_]\nschema-version = \"9\"", "").unwrap_err()),
        told(settings("", "", "[build]\nbuildpacks = []").unwrap_err()),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn only_the_project_redirects_without_an_account() {
    let project = "[registries.\"docker.io\"]\nmirror = \"http://localhost:5000\"";
    let user = "[registries.\"ghcr.io\"]\ninsecure = true";
    let registries = settings(project, "", user).unwrap().registries().unwrap();
    let names: Vec<_> = registries
        .settings
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["docker.io", "ghcr.io"]);
    let redirected = |project: &str| {
        let registries = settings(project, "", user).unwrap().registries().unwrap();
        let keys = registries.redirected.iter();
        keys.map(|key| key.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(redirected(project), ["docker.io", "localhost:5000"]);
    // Another name of the same registry.
    let other = "[registries.\"index.docker.io\"]\ninsecure = true";
    assert_eq!(redirected(other), ["docker.io"]);
}

#[test]
fn certificates_are_relative_to_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locald.toml");
    fs_err::write(&path, "[registries.\"r.example\"]\nca = \"ca.pem\"").unwrap();
    let home = Home::below(&folder.path().join("home"));
    let settings = Settings::load(folder.path(), &home).unwrap();
    let error = settings.registries().unwrap_err();
    assert!(
        matches!(error, SettingsError::Certificates { .. }),
        "{error}"
    );
    fs_err::write(folder.path().join("ca.pem"), "PEM").unwrap();
    let registries = settings.registries().unwrap();
    assert_eq!(registries.settings[0].ca.as_deref(), Some("PEM"));
}

#[cfg(unix)]
#[test]
fn a_project_reads_no_file_outside_of_it() {
    let top = tempfile::tempdir().unwrap();
    let top = dunce::canonicalize(top.path()).unwrap();
    let project = top.join("project");
    fs_err::create_dir(&project).unwrap();
    let home = Home::below(&top.join("home"));
    let load = || Settings::load(&project, &home);
    fs_err::write(top.join("ca.pem"), "PEM").unwrap();
    let table = "[registries.\"r.example\"]\nca = \"../ca.pem\"";
    fs_err::write(project.join("locald.toml"), table).unwrap();
    let is_refused =
        |error: SettingsError| assert!(matches!(error, SettingsError::Boundary(_)), "{error}");
    is_refused(load().unwrap().registries().unwrap_err());
    // The user's own configuration may trust the folder.
    fs_err::create_dir(top.join("home")).unwrap();
    fs_err::write(&home.configuration, "[trust]\nfolders = [\"..\"]").unwrap();
    let registries = load().unwrap().registries().unwrap();
    assert_eq!(registries.settings[0].ca.as_deref(), Some("PEM"));
    fs_err::write(&home.configuration, "").unwrap();
    fs_err::remove_file(project.join("locald.toml")).unwrap();
    for name in ["locald.toml", "project.toml"] {
        std::os::unix::fs::symlink("../ca.pem", project.join(name)).unwrap();
        is_refused(load().unwrap_err());
        fs_err::remove_file(project.join(name)).unwrap();
    }
    fs_err::create_dir(top.join(".git")).unwrap();
    fs_err::write(top.join("shared.toml"), "").unwrap();
    std::os::unix::fs::symlink("../shared.toml", project.join("locald.toml")).unwrap();
    load().unwrap();
}

#[cfg(unix)]
#[test]
fn settings_are_regular_files() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::below(&folder.path().join("home"));
    let path = folder.path().join("locald.toml");
    let error = || Settings::load(folder.path(), &home).unwrap_err();
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    assert!(matches!(error(), SettingsError::Boundary(_)));
    fs_err::remove_file(&path).unwrap();
    fs_err::create_dir(&path).unwrap();
    assert!(matches!(error(), SettingsError::Boundary(_)));
    fs_err::remove_dir(&path).unwrap();
    fs_err::write(&path, b"\xff\xfe[\0").unwrap();
    assert!(matches!(error(), SettingsError::Unreadable { .. }));
    fs_err::write(&path, "\u{feff}[project]\nname = \"x\"").unwrap();
    let settings = Settings::load(folder.path(), &home).unwrap();
    assert_eq!(settings.project_name(folder.path()), "x");
}

#[test]
fn proxies_are_found_in_either_spelling() {
    let lookup = |name: &str| match name {
        "https_proxy" => Some("http://lower".to_owned()),
        "HTTPS_PROXY" => Some("http://upper".to_owned()),
        "ALL_PROXY" => Some("http://all".to_owned()),
        "NO_PROXY" => Some(String::new()),
        _ => None,
    };
    let found: Vec<_> = registries::proxies(lookup)
        .into_iter()
        .map(|it| (it.name, it.value))
        .collect();
    let expected = [
        ("HTTP_PROXY".to_owned(), "http://all".to_owned()),
        ("HTTPS_PROXY".to_owned(), "http://lower".to_owned()),
    ];
    assert_eq!(found, expected);
}
