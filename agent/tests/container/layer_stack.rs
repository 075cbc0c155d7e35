//! Random stacks of layers, as tools that make images write them: most list the
//! directories that their entries are in, some do not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

/// Layers, the lowest first.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) layers: Vec<Layer>,
}

/// Paths without a slash at their beginning.
pub(crate) type Layer = BTreeMap<String, Node>;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    kind: Kind,
    mode: u32,
    owner: u64,
    modified: u64,
    form: Form,
    is_listed: bool,
}

/// How a header is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Posix,
    /// By an extended header: its own size and time are none.
    Pax,
    Gnu,
    /// Before POSIX.
    Old,
}

/// Whether layers list the directories that their entries are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parents {
    Listed,
    /// Half of them. Each link leads to a place of its own, so that no two
    /// entries of a layer have the same one.
    Gaps,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Directory,
    /// Directory that hides what is below.
    Opaque,
    File {
        length: usize,
        attribute: bool,
    },
    Symlink(String),
    Hardlink(String),
    Fifo,
    Whiteout,
}

/// A wish, which is granted where it makes sense.
#[derive(Debug, Clone)]
struct Wish {
    path: Vec<u8>,
    kind: u8,
    node: (u32, u64, u64, Form),
    length: usize,
    which: prop::sample::Index,
    lists_parents: bool,
}

/// No later time is in a stack.
pub(crate) const LATEST: u64 = 1_700_000_000;

pub(crate) fn stacks(parents: Parents) -> impl Strategy<Value = Stack> {
    let path = prop::collection::vec(0_u8..4, 1..4);
    let forms = [Form::Posix, Form::Pax, Form::Gnu, Form::Old];
    let form = prop::sample::select(forms.to_vec());
    let node = (0_u32..0o10000, 0_u64..3, 1..LATEST, form);
    let wish = (
        path,
        0_u8..16,
        node,
        0_usize..3000,
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    let wish = wish.prop_map(|(path, kind, node, length, which, lists_parents)| Wish {
        path,
        kind,
        node,
        length,
        which,
        lists_parents,
    });
    let layer = prop::collection::vec(wish, 1..14);
    prop::collection::vec(layer, 1..5).prop_map(move |wishes| Stack::of(&wishes, parents))
}

impl Stack {
    fn of(wishes: &[Vec<Wish>], parents: Parents) -> Self {
        let mut layers: Vec<Layer> = Vec::new();
        for wishes in wishes {
            let mut layer = Layer::new();
            for wish in wishes {
                wish.grant(&mut layer, &layers, parents);
            }
            layers.push(layer);
        }
        Self { layers }
    }

    /// Makes no directory hide what is below.
    pub(crate) fn show_all(&mut self) {
        for node in self.layers.iter_mut().flat_map(|it| it.values_mut()) {
            if node.kind == Kind::Opaque {
                node.kind = Kind::Directory;
            }
        }
    }

    /// Each layer as an archive.
    pub(crate) fn archives(&self) -> Vec<Vec<u8>> {
        self.layers.iter().map(archive).collect()
    }
}

impl Wish {
    fn grant(&self, layer: &mut Layer, below: &[Layer], of: Parents) {
        let names: Vec<String> = self.path.iter().map(|it| format!("n{it}")).collect();
        let path = names.join("/");
        let parents: Vec<String> = (1..names.len()).map(|it| names[..it].join("/")).collect();
        let is_directory = |it: &Kind| matches!(it, Kind::Directory | Kind::Opaque);
        let blocked = |parent: &String| layer.get(parent).is_some_and(|it| !is_directory(&it.kind));
        if layer.contains_key(&path) || parents.iter().any(blocked) {
            return;
        }
        let Some(mut kind) = self.kind(&path, layer, below) else {
            return;
        };
        if let (Kind::Symlink(target), Parents::Gaps) = (&mut kind, of) {
            *target = format!("/links/{}", names.join("-"));
        }
        let (mode, owner, modified, form) = self.node;
        let node = |kind: Kind| Node {
            mode: match (is_directory(&kind), of) {
                // Whoever extracts must be able to.
                (true, Parents::Listed) => mode | 0o700,
                // What a program makes in one that is set-gid becomes so, too.
                (true, Parents::Gaps) => mode & !0o2000 | 0o700,
                (false, _) => mode,
            },
            kind,
            owner,
            modified,
            form,
            is_listed: true,
        };
        for parent in parents {
            layer.entry(parent).or_insert_with(|| Node {
                is_listed: self.lists_parents || of == Parents::Listed,
                ..node(Kind::Directory)
            });
        }
        layer.insert(path, node(kind));
    }

    fn kind(&self, path: &str, layer: &Layer, below: &[Layer]) -> Option<Kind> {
        Some(match self.kind {
            0..=3 => Kind::Directory,
            4 => Kind::Opaque,
            5..=8 => Kind::File {
                length: self.length,
                attribute: self.kind == 5,
            },
            9 => Kind::Symlink("../n1/n2".to_owned()),
            10 => Kind::Symlink("/n0".to_owned()),
            11 | 12 => {
                let files = layer.iter().filter(|(it, node)| {
                    matches!(node.kind, Kind::File { .. }) && it.as_str() < path
                });
                let files: Vec<&String> = files.map(|(path, _)| path).collect();
                if files.is_empty() {
                    return None;
                }
                Kind::Hardlink((*self.which.get(&files)).clone())
            }
            13 => Kind::Fifo,
            _ if is_visible(path, below) => Kind::Whiteout,
            _ => return None,
        })
    }
}

/// Whether the layers so far show anything at a path: tools hide nothing else.
fn is_visible(path: &str, layers: &[Layer]) -> bool {
    for (number, layer) in layers.iter().enumerate().rev() {
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        if let Some(node) = layer.get(path) {
            // What is below a link of another layer is where that link leads.
            let is_link = |parent: &str| {
                let below = layers[..number].iter().filter_map(|it| it.get(parent));
                below
                    .map(|it| &it.kind)
                    .any(|it| matches!(it, Kind::Symlink(_)))
            };
            let mut implied = parents.filter(|it| layer.get(*it).is_some_and(|it| !it.is_listed));
            return node.kind != Kind::Whiteout && !implied.any(is_link);
        }
        let mut parents = parents.filter_map(|parent| layer.get(parent));
        if parents.any(|parent| parent.kind != Kind::Directory) {
            return false;
        }
    }
    false
}

fn archive(layer: &Layer) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, node) in layer.iter().filter(|(_, node)| node.is_listed) {
        append(&mut builder, path, node);
    }
    builder.into_inner().unwrap()
}

fn append(builder: &mut Builder<Vec<u8>>, path: &str, node: &Node) {
    let mut header = match node.form {
        Form::Posix | Form::Pax => Header::new_ustar(),
        Form::Gnu => Header::new_gnu(),
        Form::Old => Header::new_old(),
    };
    header.set_mode(node.mode);
    header.set_uid(node.owner);
    header.set_gid(node.owner);
    header.set_mtime(node.modified);
    header.set_size(0);
    let records = pax_records(&mut header, path, node);
    if !records.is_empty() {
        let records = records.iter().map(|(key, value)| (*key, &**value));
        builder.append_pax_extensions(records).unwrap();
    }
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
    match &node.kind {
        Kind::Directory | Kind::Opaque => {
            header.set_entry_type(EntryType::Directory);
            builder.append_data(&mut header, path, &[][..]).unwrap();
            if node.kind == Kind::Opaque {
                let mut header = plain();
                let marker = format!("{path}/.wh..wh..opq");
                builder.append_data(&mut header, marker, &[][..]).unwrap();
            }
        }
        Kind::File { length, .. } => {
            let content = path.as_bytes().iter().copied().cycle().take(*length);
            let content: Vec<u8> = content.collect();
            builder.append_data(&mut header, path, &*content).unwrap();
        }
        Kind::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            builder.append_link(&mut header, path, target).unwrap();
        }
        Kind::Hardlink(target) => {
            header.set_entry_type(EntryType::Link);
            builder.append_link(&mut header, path, target).unwrap();
        }
        Kind::Fifo => {
            header.set_entry_type(EntryType::Fifo);
            builder.append_data(&mut header, path, &[][..]).unwrap();
        }
        Kind::Whiteout => {
            let marker = format!("{parent}/.wh.{name}");
            let mut header = plain();
            builder.append_data(&mut header, marker, &[][..]).unwrap();
        }
    }
}

/// What a header says in records before it; those of its own fields are zero.
fn pax_records(header: &mut Header, path: &str, node: &Node) -> Vec<(&'static str, Vec<u8>)> {
    let mut records = Vec::new();
    if let Form::Pax = node.form {
        header.set_mtime(0);
        records.push(("mtime", node.modified.to_string().into_bytes()));
    }
    if let Kind::File { length, attribute } = &node.kind {
        header.set_size(*length as u64);
        if let Form::Pax = node.form {
            header.set_size(0);
            records.push(("size", length.to_string().into_bytes()));
        }
        if *attribute {
            records.push(("SCHILY.xattr.user.mine", path.as_bytes().to_vec()));
        }
    }
    records
}

fn plain() -> Header {
    let mut header = Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(0);
    header
}
