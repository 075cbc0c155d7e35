//! Stores the listing that this side has sent to the agent, and finds changes
//! since then.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use protocol::source::{Entry, EntryKind};

use crate::sync::source::{SourceTree, is_racy};

/// The listing that the agent has.
#[derive(Debug, Default)]
pub(super) struct Listing {
    told: BTreeMap<Vec<u8>, EntryKind>,
    /// Stamps of files from the agent, right after this side has written them.
    written: HashMap<Vec<u8>, u64>,
}

/// Differences from the listing that the agent has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// New or changed paths.
    pub(super) entries: Vec<Entry>,
    /// Removed paths.
    pub(super) gone: Vec<Vec<u8>>,
}

impl Listing {
    /// Returns the kind that the agent has for a path.
    pub(super) fn get(&self, path: &[u8]) -> Option<&EntryKind> {
        self.told.get(path)
    }

    /// Compares with a new listing. Assumes that the agent receives the result.
    pub(super) fn news(&mut self, tree: SourceTree, now: SystemTime) -> News {
        let mut old = std::mem::take(&mut self.told);
        let mut news = News::default();
        for mut entry in tree.entries {
            self.forget_racy(&mut entry, now);
            let known = old.remove(&entry.path);
            self.told.insert(entry.path.clone(), entry.kind.clone());
            let is_same = known.as_ref() == Some(&entry.kind);
            if !is_same || matches!(entry.kind, EntryKind::File { stamp: 0, .. }) {
                news.entries.push(entry);
            }
        }
        news.gone.extend(old.into_keys());
        self.written.retain(|path, _| self.told.contains_key(path));
        news
    }

    /// Records a change that came from the agent.
    pub(super) fn brought(&mut self, path: Vec<u8>, kind: Option<EntryKind>) {
        let Some(kind) = kind else {
            self.told.remove(&path);
            return;
        };
        if let EntryKind::File { stamp, .. } = kind {
            self.written.insert(path.clone(), stamp);
        }
        self.told.insert(path, kind);
    }

    /// Removes the stamp of a file that has just changed, because it may change
    /// again without a new stamp. Files that came from the agent keep theirs.
    fn forget_racy(&self, entry: &mut Entry, now: SystemTime) {
        if !is_racy(&entry.kind, now) {
            return;
        }
        if let EntryKind::File { stamp, .. } = &mut entry.kind
            && self.written.get(&entry.path) != Some(stamp)
        {
            *stamp = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, modified: i64, stamp: u64) -> Entry {
        let (size, mode) = (1, 0o644);
        let kind = EntryKind::File {
            size,
            mode,
            modified,
            stamp,
        };
        let path = path.into();
        Entry { path, kind }
    }

    fn news(listing: &mut Listing, entries: &[Entry], seconds: u64) -> (Vec<String>, Vec<String>) {
        let tree = SourceTree::of("/".as_ref(), entries.to_vec());
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let news = listing.news(tree, now);
        let text = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
        let entries = news.entries.iter().map(|entry| text(&entry.path));
        (entries.collect(), news.gone.iter().map(text).collect())
    }

    #[test]
    fn only_what_has_changed_is_news() {
        let mut listing = Listing::default();
        let [a, b] = [file("a", 0, 1), file("b", 0, 2)];
        let none = (vec![], vec![]);
        assert_eq!(news(&mut listing, &[a.clone(), b.clone()], 9).0, ["a", "b"]);
        assert_eq!(news(&mut listing, &[a.clone(), b], 9), none);
        let changed = news(&mut listing, &[a.clone(), file("b", 0, 3)], 9);
        assert_eq!(changed.0, ["b"]);
        assert_eq!(news(&mut listing, &[a], 9).1, ["b"]);
    }

    #[test]
    fn a_file_that_has_just_changed_is_news_again_unless_it_was_brought() {
        let mut listing = Listing::default();
        let new = file("a", 1_000_000_000, 1);
        for _ in 0..2 {
            assert_eq!(news(&mut listing, std::slice::from_ref(&new), 1).0, ["a"]);
        }
        assert_eq!(news(&mut listing, std::slice::from_ref(&new), 9).0, ["a"]);
        assert_eq!(news(&mut listing, std::slice::from_ref(&new), 9).0, [""; 0]);
        let own = file("b", 1_000_000_000, 2);
        listing.brought(own.path.clone(), Some(own.kind.clone()));
        assert_eq!(news(&mut listing, &[new.clone(), own], 1).0, ["a"]);
        let other = file("b", 1_000_000_000, 3);
        assert_eq!(news(&mut listing, &[new, other], 1).0, ["a", "b"]);
    }
}
