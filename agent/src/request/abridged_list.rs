//! Shortens lists of untrusted names for messages: the first few, and the
//! number of the others.

use std::collections::HashSet;

/// The most names in a message.
const NAMED: usize = 20;

/// The first names of a list, without duplicates, as text.
pub(crate) fn some_of<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let mut seen = HashSet::new();
    let mut first = Vec::new();
    for name in names {
        if seen.insert(name.as_ref().to_owned()) && first.len() < NAMED {
            first.push(name);
        }
    }
    let text = first
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(", ");
    match seen.len() - first.len() {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::some_of;

    #[test]
    fn a_long_list_is_cut_and_counted() {
        assert_eq!(some_of(["a", "b", "a"]), "a, b");
        assert_eq!(some_of(<[&str; 0]>::default()), "");
        let many = some_of((0..17_000).map(|number| format!("os{number}")));
        assert!(many.starts_with("os0, os1, "), "{many}");
        assert!(many.ends_with("os19 and 16980 more"), "{many}");
    }
}
