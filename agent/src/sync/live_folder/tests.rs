//! Tests rounds with a simulated host. Whatever both sides do, they end in the
//! same state, and no edit is lost.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use protocol::folder::{Answer, Change};
use protocol::{Channel, Outcome};

use super::*;
use crate::request::stream::{Outgoing, SessionEnds};

const PATHS: [&str; 7] = ["a", "b", "a/x", "a/y", "b/x", "a/x/z", "c"];

/// A tree: the text of each file by path, and none for a directory.
type Tree = BTreeMap<Vec<u8>, Option<String>>;

#[derive(Debug, Clone)]
enum Doing {
    Write,
    Directory,
    Remove,
}

/// Whether the host acts, the number of the path, and the action.
type Step = (bool, usize, Doing);

#[derive(Default)]
struct Host {
    tree: Tree,
    /// The number of steps after which the test kills the host.
    life: Option<usize>,
}

/// The test has killed the host.
struct Killed;

impl Host {
    fn kind(&self, path: &[u8]) -> Option<EntryKind> {
        Some(match self.tree.get(path)? {
            None => EntryKind::Directory { mode: 0o755 },
            Some(text) => EntryKind::File {
                size: text.len() as u64,
                mode: 0o644,
                modified: 0,
                // Each text is a different number.
                stamp: text.parse::<u64>().unwrap() + 1,
            },
        })
    }

    fn answer(&mut self, change: &Change, bytes: &[u8]) -> Answer {
        let is_parent = |parent: &[u8]| self.tree.get(parent) == Some(&None);
        let holds = |it: &Vec<u8>| super::parent(it) == Some(&change.path);
        if self.kind(&change.path) != change.expected
            || !super::parent(&change.path).is_none_or(is_parent)
        {
            return Answer::Stale;
        }
        let is_directory = matches!(change.wanted, Some(EntryKind::Directory { .. }));
        if !is_directory && self.tree.keys().any(holds) {
            let reason = "it is not empty".to_owned();
            return Answer::Refused { reason };
        }
        let node = change.wanted.as_ref().map(|kind| match kind {
            EntryKind::Directory { .. } => None,
            _ => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        });
        match node {
            Some(node) => self.tree.insert(change.path.clone(), node),
            None => self.tree.remove(&change.path),
        };
        Answer::Made(self.kind(&change.path))
    }

    fn kinds(&self) -> BTreeMap<Vec<u8>, EntryKind> {
        let kind = |path: &Vec<u8>| Some((path.clone(), self.kind(path)?));
        self.tree.keys().filter_map(kind).collect()
    }

    fn step(&mut self) -> Result<(), Killed> {
        match &mut self.life {
            Some(0) => Err(Killed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Answers until the round ends.
    async fn serve(&mut self, ends: &mut SessionEnds) -> Result<(), Killed> {
        loop {
            let Some(Outgoing::Event(event)) = ends.outgoing.recv().await else {
                panic!("data without a change");
            };
            self.step()?;
            match event {
                Event::Folder(FolderEvent::Wanted { paths }) => {
                    for (index, path) in (0..).zip(paths) {
                        self.step()?;
                        let text = self.tree[&path].clone().unwrap();
                        let size = text.len() as u64;
                        let tree = protocol::source::Tree::APPLICATION;
                        let file = Input::SourceFile { tree, index, size };
                        ends.deliver(Incoming::Input(file)).await.unwrap();
                        let data = Incoming::Data(Channel::Bulk, Bytes::from(text));
                        ends.deliver(data).await.unwrap();
                    }
                }
                Event::Folder(FolderEvent::Change(change)) => {
                    let mut bytes = BytesMut::new();
                    if let Some(EntryKind::File { size, .. }) = change.wanted {
                        while (bytes.len() as u64) < size {
                            let Some(Outgoing::Data(_, more)) = ends.outgoing.recv().await else {
                                panic!("no data");
                            };
                            bytes.extend_from_slice(&more);
                        }
                    }
                    self.step()?;
                    let answer = FolderInput::Answer(self.answer(&change, &bytes));
                    self.step()?;
                    let answer = Incoming::Input(Input::Folder(answer));
                    ends.deliver(answer).await.unwrap();
                }
                Event::Folder(FolderEvent::Conflict { .. }) => {}
                // The test sends this at the end of a round.
                Event::Outcome(Outcome::Done(_)) => return Ok(()),
                event => panic!("{event:?}"),
            }
        }
    }
}

fn read(root: &Path, below: &str, tree: &mut Tree) {
    for entry in fs_err::read_dir(root.join(below)).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let is_directory = entry.file_type().unwrap().is_dir();
        let text = (!is_directory).then(|| fs_err::read_to_string(entry.path()).unwrap());
        tree.insert(path.clone().into_bytes(), text);
        if is_directory {
            read(root, &path, tree);
        }
    }
}

fn own_tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    read(root, "", &mut tree);
    tree
}

/// Performs a step if it is possible.
fn step(tree: &mut Tree, path: &str, doing: &Doing, text: &str) {
    let path = path.as_bytes().to_vec();
    if super::parent(&path).is_some_and(|it| tree.get(it) != Some(&None)) {
        return;
    }
    let below = |it: &Vec<u8>| super::ancestors(it).any(|it| it == path);
    tree.retain(|it, _| *it != path && !below(it));
    match doing {
        Doing::Write => drop(tree.insert(path, Some(text.to_owned()))),
        Doing::Directory => drop(tree.insert(path, None)),
        Doing::Remove => {}
    }
}

/// Changes a directory from one tree to another. Does not touch files that are
/// equal in both.
fn write_own(root: &Path, from: &Tree, to: &Tree) {
    let path = |path: &Vec<u8>| root.join(String::from_utf8(path.clone()).unwrap());
    for (it, node) in from.iter().rev() {
        match (node, to.get(it)) {
            (None, Some(None)) => {}
            (old, Some(new)) if old == new => {}
            (None, _) => fs_err::remove_dir(path(it)).unwrap(),
            (Some(_), _) => fs_err::remove_file(path(it)).unwrap(),
        }
    }
    for (it, node) in to {
        match node {
            _ if from.get(it) == Some(node) => {}
            None => fs_err::create_dir(path(it)).unwrap(),
            Some(text) => fs_err::write(path(it), text).unwrap(),
        }
    }
}

/// Runs rounds until both sides have the same, or the host is killed.
async fn settle(store: &Store, folder: &mut Folder, host: &mut Host) -> Result<(), Killed> {
    for _ in 0..20 {
        folder.host = host.kinds();
        let (stream, mut inputs, mut ends) = RequestStream::new();
        let round = async {
            let again = folder.round(store, &stream, &mut inputs).await.unwrap();
            let end = Event::Outcome(Outcome::Done(Reply::Nothing));
            stream.event(end).await.unwrap();
            Ok(again)
        };
        let (again, ()) = tokio::try_join!(round, host.serve(&mut ends))?;
        if !again {
            return Ok(());
        }
    }
    panic!("it does not settle");
}

fn stage() -> (tempfile::TempDir, Store, ProjectDir) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let id = "0a".repeat(32).parse().unwrap();
    let project = store.project(&id).unwrap();
    (home, store, project)
}

async fn play(batches: Vec<Vec<Step>>) {
    let (_home, store, project) = stage();
    let mut host = Host::default();
    let mut number = 0;
    for steps in batches {
        // Opens the folder anew, as after a crash, so that only the stored
        // state counts.
        let mut folder = Folder::open(project.path()).unwrap();
        let root = folder.copy.root().to_owned();
        let agreed = host.tree.clone();
        let before = own_tree(&root);
        assert_eq!(before, agreed);
        let mut own = before.clone();
        for (is_host, path, doing) in steps {
            number += 1;
            let tree = if is_host { &mut host.tree } else { &mut own };
            step(tree, PATHS[path], &doing, &number.to_string());
        }
        write_own(&root, &before, &own);
        let all = host.tree.iter().chain(&own);
        let news = all.filter(|(path, node)| agreed.get(*path) != Some(node));
        let written: Vec<_> = news.filter_map(|(_, node)| node.clone()).collect();
        let host_before = host.tree.clone();
        assert!(settle(&store, &mut folder, &mut host).await.is_ok());
        let after = own_tree(&root);
        assert_eq!(
            host.tree, after,
            "the host had {host_before:?}, we {own:?}, both {agreed:?}"
        );
        for text in written {
            let kept = after.values().flatten().any(|it| *it == text);
            assert!(
                kept,
                "{text} is lost: {after:?}; {host_before:?} {own:?} {agreed:?}"
            );
        }
    }
}

/// One session: the edits before it, and the number of steps after which the
/// host is killed.
type Session = (Vec<Step>, Option<usize>);

/// Each side edits its own paths. Whenever the host is killed, both sides end
/// with exactly the last edits, and without a conflict.
async fn play_killed(sessions: Vec<Session>) {
    let (_home, store, project) = stage();
    let mut host = Host::default();
    let mut number = 0;
    let mut wanted = Tree::new();
    for (steps, life) in sessions.into_iter().chain([(Vec::new(), None)]) {
        let mut folder = Folder::open(project.path()).unwrap();
        let root = folder.copy.root().to_owned();
        let before = own_tree(&root);
        let mut own = before.clone();
        for (_, path, doing) in steps {
            number += 1;
            let (path, text) = (PATHS[path], number.to_string());
            let tree = if path.starts_with('a') {
                &mut host.tree
            } else {
                &mut own
            };
            step(tree, path, &doing, &text);
            step(&mut wanted, path, &doing, &text);
        }
        write_own(&root, &before, &own);
        host.life = life;
        let ended = settle(&store, &mut folder, &mut host).await;
        if ended.is_ok() {
            assert_eq!(own_tree(&root), wanted, "the host has {:?}", host.tree);
            assert_eq!(host.tree, wanted);
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let doing = prop_oneof![
        Just(Doing::Write),
        Just(Doing::Directory),
        Just(Doing::Remove)
    ];
    prop::collection::vec((any::<bool>(), 0..PATHS.len(), doing), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_one_side_alone_edits_never_parts_whenever_the_host_is_killed(
        sessions in prop::collection::vec((steps(), prop::option::weighted(0.8, 0..24_usize)), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        runtime.unwrap().block_on(play_killed(sessions));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_sides_come_to_have_the_same_and_nothing_is_lost(
        batches in prop::collection::vec(steps(), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        runtime.unwrap().block_on(play(batches));
    }
}

/// The session of a host that asks for the folder.
struct Asking {
    ends: SessionEnds,
    serving: tokio::task::JoinHandle<()>,
}

impl Asking {
    fn of(store: &Store, sessions: &Arc<SyncSessions>) -> Self {
        let (stream, inputs, ends) = RequestStream::new();
        let (store, sessions) = (store.clone(), Arc::clone(sessions));
        let end = stream.end_of_session.clone();
        let (id, path) = ("0a".repeat(32), "/project".to_owned());
        let serving = tokio::spawn(async move {
            tokio::select! {
                _ = folder(&store, &sessions, Project { id, path }, stream, inputs) => {}
                () = end.notified() => {}
            }
        });
        Self { ends, serving }
    }

    async fn says(&mut self, input: Input) {
        self.ends.deliver(Incoming::Input(input)).await.unwrap();
    }

    async fn hears(&mut self, expected: FolderEvent) {
        match self.ends.outgoing.recv().await {
            Some(Outgoing::Event(Event::Folder(event))) => assert_eq!(event, expected),
            other => panic!("{other:?} instead of {expected:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_keeps_the_folder_and_others_ask_whether_it_is_in_step() {
    let (_home, store, _project) = stage();
    let sessions = Arc::new(SyncSessions::default());
    let [take_over, settle] = [FolderInput::TakeOver, FolderInput::Settle].map(Input::Folder);
    let mut other = Asking::of(&store, &sessions);
    other.says(settle.clone()).await;
    other.hears(FolderEvent::Shared).await;
    let mut keeper = Asking::of(&store, &sessions);
    keeper.says(take_over.clone()).await;
    keeper.hears(FolderEvent::Ready).await;
    other.says(settle).await;
    // A round may have begun before the request, so the next one counts.
    for _ in 0..ROUNDS {
        keeper.hears(FolderEvent::Changed).await;
        assert!(other.ends.outgoing.try_recv().is_err());
        keeper.says(Input::SourceListed).await;
        keeper.hears(FolderEvent::Settled { again: false }).await;
    }
    other.hears(FolderEvent::Shared).await;
    // The keeper's host is killed. Only its next process notices that.
    other.says(take_over).await;
    other.hears(FolderEvent::Ready).await;
    keeper.serving.await.unwrap();
    other.says(Input::Folder(FolderInput::End)).await;
    other.serving.await.unwrap();
}
