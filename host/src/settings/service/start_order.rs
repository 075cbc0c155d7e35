//! Sorts services so that each starts after its dependencies.

use std::collections::BTreeMap;

/// Sorts names into levels. Each level needs only names of earlier levels.
/// Ignores needed names that `needs` does not contain. If there is a dependency
/// cycle, returns it as the error, with its first name repeated at the end.
pub(crate) fn levels(needs: &BTreeMap<&str, &[String]>) -> Result<Vec<Vec<String>>, Vec<String>> {
    let mut left = needs.clone();
    let mut levels = Vec::new();
    while !left.is_empty() {
        let is_free = |needs: &[String]| !needs.iter().any(|it| left.contains_key(it.as_str()));
        let free = left.iter().filter(|(_, needs)| is_free(needs));
        let free: Vec<&str> = free.map(|(name, _)| *name).collect();
        if free.is_empty() {
            return Err(circle(&left));
        }
        left.retain(|name, _| !free.contains(name));
        levels.push(free.into_iter().map(str::to_owned).collect());
    }
    Ok(levels)
}

/// Returns a cycle. Each name in `needs` must need another one of them.
fn circle(needs: &BTreeMap<&str, &[String]>) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let mut next = needs.keys().next().map(|name| (*name).to_owned());
    while let Some(name) = next {
        if let Some(start) = path.iter().position(|known| *known == name) {
            path.drain(..start);
            path.push(name);
            break;
        }
        let wanted = needs.get(name.as_str()).into_iter().copied().flatten();
        next = wanted
            .into_iter()
            .find(|it| needs.contains_key(it.as_str()))
            .cloned();
        path.push(name);
    }
    path
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn order(needs: &[(&str, &[&str])]) -> Result<Vec<Vec<String>>, Vec<String>> {
        let owned: Vec<(&str, Vec<String>)> = needs
            .iter()
            .map(|(name, needs)| (*name, needs.iter().map(|it| (*it).to_owned()).collect()))
            .collect();
        levels(
            &owned
                .iter()
                .map(|(name, needs)| (*name, &needs[..]))
                .collect(),
        )
    }

    #[test]
    fn what_is_needed_comes_first() {
        let found = order(&[
            ("web", &["api", "cache"]),
            ("api", &["db"]),
            ("cache", &[]),
            ("db", &[]),
            ("mail", &["absent"]),
        ]);
        let expected = [vec!["cache", "db", "mail"], vec!["api"], vec!["web"]];
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn a_circle_is_shown_without_what_leads_to_it() {
        let found = order(&[("a", &["b"]), ("b", &["c"]), ("c", &["d", "b"]), ("d", &[])]);
        assert_eq!(found.unwrap_err(), ["b", "c", "b"]);
        assert_eq!(order(&[("a", &["a"])]).unwrap_err(), ["a", "a"]);
    }
}
