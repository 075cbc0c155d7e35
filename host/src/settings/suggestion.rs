//! Suggests the known word that is most like a mistyped one.

/// Returns the known key that is most like `key`, if one is similar enough.
pub(crate) fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    let score = |name: &&String| strsim::jaro_winkler(key, name);
    let best = known.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(&best) > 0.75).then_some(best)
}
