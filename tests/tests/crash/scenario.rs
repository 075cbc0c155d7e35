//! What users do that changes the store.

use harness::{builder, busybox};

use super::place::Place;

/// A command, and how to come to where it has something to do.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) prepare: fn(&Place),
    pub(crate) command: fn(&Place) -> Vec<String>,
    /// Exit codes when it is given once more: what was killed may have been
    /// done.
    pub(crate) again: &'static [i32],
    /// The store has a fault when the command begins, and may still have it when
    /// the command is killed; then it has none when the command is given again.
    pub(crate) damaged: bool,
    /// Steps that are tried in another scenario.
    pub(crate) left_out: &'static [&'static str],
}

/// All of them.
pub(crate) const SCENARIOS: [Scenario; 9] = [
    Scenario {
        name: "pull",
        prepare: |place| {
            place.locald(&["image", "rm", &busybox()]).run();
        },
        command: |_| words(&["pull", &busybox()]),
        again: &[0],
        damaged: false,
        left_out: &[],
    },
    Scenario {
        name: "build",
        prepare: |place| place.change_source(),
        command: |place| {
            let folder = place.app.text();
            words(&["build", &folder, "-t", "fresh", "--builder", &builder()])
        },
        again: &[0],
        damaged: false,
        // Of work that goes on when the command has its answer: the end of the
        // process may be first.
        left_out: &["Swept", "RemovalBegun"],
    },
    Scenario {
        name: "tag",
        prepare: |_| {},
        command: |_| words(&["image", "tag", "earlier", "again"]),
        again: &[0],
        damaged: false,
        left_out: &[],
    },
    Scenario {
        name: "remove",
        prepare: |place| {
            place.locald(&["pull", &busybox()]).succeed();
        },
        command: |_| words(&["image", "rm", &busybox()]),
        again: &[0, 112],
        damaged: false,
        left_out: &[],
    },
    Scenario {
        name: "export",
        prepare: |place| place.lose_fetched_blobs(),
        command: |place| {
            let target = format!("oci:{}", place.outside().join("exported").display());
            words(&["image", "export", "earlier", &target, "--force"])
        },
        again: &[0],
        damaged: false,
        left_out: &[],
    },
    Scenario {
        name: "repair",
        prepare: |place| place.damage_blobs(),
        command: |_| words(&["store", "verify", "--repair"]),
        again: &[0],
        damaged: true,
        // What is swept then is what was killed before has left.
        left_out: &["Swept", "RemovalBegun"],
    },
    Scenario {
        name: "repair of a layer",
        prepare: |place| place.change_a_tree(),
        command: |_| words(&["store", "verify", "--repair"]),
        again: &[0],
        damaged: true,
        left_out: &["Swept", "RemovalBegun"],
    },
    Scenario {
        name: "repair of the index",
        prepare: |place| place.lose_the_index(),
        command: |_| words(&["store", "verify", "--repair"]),
        again: &[0],
        damaged: false,
        // Before it is replaced, it is lost.
        left_out: &["Swept", "RemovalBegun", "IndexWritten"],
    },
    Scenario {
        name: "prune",
        prepare: |place| {
            place.change_source();
            let folder = place.app.text();
            let build = ["build", &folder, "-t", "fresh", "--builder", &builder()];
            place.locald(&build).succeed();
        },
        command: |_| words(&["prune", "--yes", "--unused-for", "0d"]),
        again: &[0],
        damaged: false,
        // Everybody comes to these, and after this one the builder must be
        // pulled again.
        left_out: &["IndexWritten", "IndexReplaced", "RemovalBegun"],
    },
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().copied().map(str::to_owned).collect()
}
