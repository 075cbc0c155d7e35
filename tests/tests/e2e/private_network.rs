//! `--network private`: pasta carries it. tests/tests/rust fetches crates by
//! one.

use harness::{App, await_that, builder, locald, unique};
use rustix::process::Signal;

use super::hostile::{Hostile, assert_nothing_gained, outcomes};

const PRIVATE: [&str; 2] = ["--network", "private"];

#[test]
fn nothing_of_the_machine_is_in_it() {
    let (hostile, name) = (Hostile::new(&[]), unique("private"));
    let built = hostile.build(&name, &PRIVATE).succeed();
    let runs = outcomes(&format!("{}{}", built.stdout, built.stderr));
    assert_nothing_gained(&runs[1], &[]);
}

/// The processes below one, by their names.
fn below(ancestor: u32) -> Vec<(u32, String)> {
    let table = harness::Reader("ps").run(&["-eo", "pid=,ppid=,comm="]);
    let rows = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let mut number = || words.next()?.parse::<u32>().ok();
        Some((number()?, number()?, words.next()?.to_owned()))
    });
    let rows: Vec<_> = rows.collect();
    let mut found = vec![(ancestor, String::new())];
    let mut next = 0;
    while let Some((parent, _)) = found.get(next).cloned() {
        let children = rows.iter().filter(|(_, of, _)| *of == parent);
        found.extend(children.map(|(id, _, name)| (*id, name.clone())));
        next += 1;
    }
    found
}

#[test]
fn it_ends_with_whoever_builds() {
    let app = App::probe("echo up; sleep 600");
    let name = unique("private");
    let folder = app.text();
    let line = ["build", &folder, "-t", &name, "--builder", &builder(), "-v"];
    let mut building = locald([&line[..], &PRIVATE].concat()).start();
    building.await_output("up");
    // It is passt under another name.
    let is_pasta = |(_, name): &(u32, String)| name.starts_with("pas");
    let (pasta, _) = below(building.id()).into_iter().find(is_pasta).unwrap();
    building.signal(Signal::KILL);
    building.wait();
    await_that("pasta is gone", || {
        let status = fs_err::read_to_string(format!("/proc/{pasta}/stat"));
        status.is_ok_and(|it| it.contains(") Z "))
            || !fs_err::exists(format!("/proc/{pasta}")).unwrap()
    });
}

#[test]
fn without_pasta_it_is_refused() {
    let (app, empty) = (App::web(), tempfile::tempdir().unwrap());
    let name = unique("private");
    let folder = app.text();
    let line = ["build", &folder, "-t", &name, "--builder", &builder()];
    locald([&line[..], &PRIVATE].concat())
        .env("PATH", empty.path().to_str().unwrap())
        .fail(121, "apt install passt");
}
