//! The modules of each crate form no circles, and use each other in the
//! direction that ARCHITECTURE.md draws.
//!
//! A parent and its children may use each other; two modules of one parent, with
//! all below them, only one way. Tests of modules may look anywhere.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use modules::{Reference, references};
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

const CRATES: [&str; 3] = ["agent", "host", "protocol"];

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

fn of_crate(name: &str) -> Vec<Reference> {
    references(&repository().join(name).join("src"))
}

/// For each parent, which of its children use which, and one reference of each.
type Siblings<'a> = BTreeMap<&'a [String], BTreeMap<(&'a str, &'a str), &'a Reference>>;

fn siblings(references: &[Reference]) -> Siblings<'_> {
    let mut siblings = Siblings::new();
    for reference in references {
        let (from, to) = (&reference.from, &reference.to);
        let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        if let (Some(user), Some(used)) = (from.get(common), to.get(common)) {
            let uses = siblings.entry(&from[..common]).or_default();
            uses.entry((user, used)).or_insert(reference);
        }
    }
    siblings
}

#[test]
fn modules_form_no_circles() {
    let mut circles = Vec::new();
    for name in CRATES {
        let references = of_crate(name);
        assert!(!references.is_empty(), "{name} has no modules");
        for (parent, uses) in siblings(&references) {
            let graph: DiGraphMap<&str, ()> = uses.keys().copied().collect();
            for circle in tarjan_scc(&graph) {
                if circle.len() == 1 {
                    continue;
                }
                let within = |(a, b): &(&str, &str)| circle.contains(a) && circle.contains(b);
                let uses = uses.iter().filter(|(pair, _)| within(pair));
                let uses: Vec<String> = uses.map(|(_, it)| format!("  {it}")).collect();
                let parent = [&[name.to_owned()][..], parent].concat().join("::");
                circles.push(format!(
                    "{parent}: {}\n{}",
                    circle.join(", "),
                    uses.join("\n")
                ));
            }
        }
    }
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

/// The lines of ARCHITECTURE.md like `host: main → cli, commands → settings`.
fn drawn(name: &str) -> Vec<Vec<String>> {
    let page = fs_err::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let prefix = format!("{name}: ");
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let begins = lines.iter().position(|line| line.starts_with(&prefix));
    let begins = begins.unwrap_or_else(|| panic!("ARCHITECTURE.md does not draw {name}"));
    // A drawing goes on in lines that begin with an arrow.
    let more = lines[begins + 1..].iter();
    let more = more.take_while(|line| line.starts_with('→'));
    let drawing = more.fold(lines[begins][prefix.len()..].to_owned(), |all, line| {
        all + line
    });
    let steps = drawing.split('→');
    let modules = |step: &str| step.split(',').map(|it| it.trim().to_owned()).collect();
    steps.map(modules).collect()
}

#[test]
fn architecture_draws_what_the_imports_say() {
    for name in CRATES {
        let references = of_crate(name);
        let drawing = drawn(name);
        let place = |module: &str| {
            drawing
                .iter()
                .position(|step| step.iter().any(|it| it == module))
        };
        let mut modules: BTreeSet<&str> = BTreeSet::new();
        for Reference { from, to, .. } in &references {
            modules.extend(
                from.first()
                    .into_iter()
                    .chain(to.first())
                    .map(String::as_str),
            );
        }
        for module in &modules {
            assert!(
                place(module).is_some(),
                "ARCHITECTURE.md does not draw {name}::{module}"
            );
        }
        for module in drawing.iter().flatten() {
            assert!(
                modules.contains(module.as_str()),
                "{name} has no {module}, which ARCHITECTURE.md draws"
            );
        }
        for ((user, used), reference) in siblings(&references).remove(&[][..]).unwrap_or_default() {
            assert!(
                place(user) < place(used),
                "ARCHITECTURE.md draws {name}::{user} not before {used}: {reference}"
            );
        }
    }
}
