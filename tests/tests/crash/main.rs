//! The agent is killed at each step that changes the store: what was there
//! before is whole, the store is sound, and the same command then works.
//!
//! The programs are those of everybody, but one, which has the feature
//! `crash-points`: `LOCALD_CRASH_BIN`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod place;
mod scenario;

use std::collections::BTreeSet;

use place::Place;
use scenario::SCENARIOS;

/// The names of all steps, as they stand in the agent's source.
fn all() -> BTreeSet<String> {
    let source = include_str!("../../../agent/src/crash.rs");
    let (_, after) = source.split_once("enum Point {").unwrap();
    let (variants, _) = after.split_once("\n}").unwrap();
    let names = variants.lines().map(str::trim);
    let names = names.filter(|line| !line.starts_with("///") && !line.is_empty());
    names
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect()
}

#[test]
fn nothing_is_lost_at_whatever_step_the_agent_is_killed() {
    let place = Place::new();
    let mut reached = BTreeSet::new();
    for scenario in &SCENARIOS {
        reached.extend(place.kill_at_each_step(scenario));
    }
    assert_eq!(reached, all(), "steps that no command has come to");
}
