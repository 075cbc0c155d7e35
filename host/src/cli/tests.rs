//! Tests of the help texts, and of the accepted arguments.

#![expect(clippy::unwrap_used, reason = "tests")]

use clap::{CommandFactory, Parser};

use super::{Cli, Command, FRONT_PAGE};

/// Returns the long help of a command, 80 columns wide.
fn help(path: &[&str]) -> String {
    let mut words = vec!["locald"];
    words.extend(path);
    words.push("--help");
    let command = Cli::command().term_width(80);
    let error = command.try_get_matches_from(words).unwrap_err();
    error.render().to_string()
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn front_page() {
    insta::assert_snapshot!(FRONT_PAGE);
    assert!(FRONT_PAGE.lines().all(|line| line.len() <= 80));
}

#[test]
fn help_texts() {
    let pages: [&[&str]; 22] = [
        &[],
        &["build"],
        &["run"],
        &["shell"],
        &["up"],
        &["ps"],
        &["logs"],
        &["stop"],
        &["image"],
        &["image", "ls"],
        &["image", "inspect"],
        &["image", "tag"],
        &["image", "rm"],
        &["image", "export"],
        &["push"],
        &["pull"],
        &["login"],
        &["store"],
        &["prune"],
        &["doctor"],
        &["completions"],
        &["vm"],
    ];
    for path in pages {
        let name = format!("help{}", path.concat());
        insta::assert_snapshot!(name, help(path));
    }
}

#[test]
fn a_process_takes_arguments_after_two_dashes() {
    let words = ["locald", "run", ".", "web", "-e", "A", "--", "-e", "--json"];
    let cli = Cli::try_parse_from(words).unwrap();
    let Some(Command::Run(options)) = cli.command else {
        unreachable!("not run")
    };
    assert_eq!(options.target.as_deref(), Some("."));
    assert_eq!(options.process.as_deref(), Some("web"));
    assert_eq!(options.args, ["-e", "--json"]);
    assert!(!cli.global.json);
}

#[test]
fn arguments_alone_need_no_process() {
    let cli = Cli::try_parse_from(["locald", "shell", "--", "npm", "test"]).unwrap();
    let Some(Command::Shell(options)) = cli.command else {
        unreachable!("not shell")
    };
    assert_eq!(options.command, ["npm", "test"]);
    assert_eq!(options.project.path(), None);
}

#[test]
fn contradictions_are_refused() {
    let cases: [&[&str]; 6] = [
        &["build", "-q", "-v"],
        &["build", "--network", "bridge"],
        &["build", "--creation-time", "yesterday"],
        &["run", "--command"],
        &["run", ".", "web", "--command", "--", "ls"],
        &["login", "ghcr.io", "--password-stdin"],
    ];
    for case in cases {
        let words = std::iter::once("locald").chain(case.iter().copied());
        assert!(Cli::try_parse_from(words).is_err(), "{case:?}");
    }
}
