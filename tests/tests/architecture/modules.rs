//! Reads which module of a crate uses which other one.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// One place where a module names another one of its crate.
pub(crate) struct Reference {
    /// The module that names: its path from the crate's root.
    pub(crate) from: Vec<String>,
    /// The module that is named.
    pub(crate) to: Vec<String>,
    file: PathBuf,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.strip_prefix(crate::repository());
        let file = file.unwrap_or(&self.file).display();
        write!(f, "{file} uses {}", self.to.join("::"))
    }
}

/// All references within a crate, without those of its tests.
pub(crate) fn references(source: &Path) -> Vec<Reference> {
    let files = files(source);
    let modules: BTreeSet<Vec<String>> = files.iter().map(|(module, _)| module.clone()).collect();
    let mut references = Vec::new();
    for (module, file) in files {
        let text = fs_err::read_to_string(&file).unwrap();
        let parsed = syn::parse_file(&text).unwrap();
        let mut reader = Reader {
            modules: &modules,
            at: module.clone(),
            named: BTreeSet::new(),
        };
        reader.visit_file(&parsed);
        // A module without references is one, too.
        reader.named.insert(module.clone());
        references.extend(reader.named.into_iter().map(|to| Reference {
            from: module.clone(),
            to,
            file: file.clone(),
        }));
    }
    references
}

/// The modules of a crate that have files, and these.
fn files(source: &Path) -> Vec<(Vec<String>, PathBuf)> {
    let mut files = Vec::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if stem == "tests" || stem == "main" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|it| it != "rs") {
                continue;
            }
            let parents = folder.strip_prefix(source).unwrap();
            let names = parents.iter().map(|name| name.to_str().unwrap());
            let names = names.chain(Some(stem).filter(|stem| *stem != "lib"));
            files.push((names.map(str::to_owned).collect(), path.clone()));
        }
    }
    files.sort();
    files
}

struct Reader<'a> {
    modules: &'a BTreeSet<Vec<String>>,
    /// The module that is being read.
    at: Vec<String>,
    named: BTreeSet<Vec<String>>,
}

impl Reader<'_> {
    /// Notes the module that a path leads to, when it begins like one of this
    /// crate.
    fn name<'n>(&mut self, path: impl IntoIterator<Item = &'n str>) {
        let mut path = path.into_iter().peekable();
        let mut module = match path.next() {
            Some("crate") => Vec::new(),
            Some("self") => self.at.clone(),
            Some("super") => self.at[..self.at.len() - 1].to_vec(),
            _ => return,
        };
        while path.next_if_eq(&"super").is_some() {
            module.pop();
        }
        for name in path {
            module.push(name.to_owned());
            if !self.modules.contains(&module) {
                module.pop();
                break;
            }
        }
        self.named.insert(module);
    }

    fn name_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.name_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.name_tree(before, tree);
                }
            }
            syn::UseTree::Name(name) => self.name_parts(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.name_parts(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.name_parts(before),
        }
    }

    fn name_parts(&mut self, parts: &[String]) {
        self.name(parts.iter().map(String::as_str));
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.at.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.at.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.name_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|it| it.ident.to_string())
            .collect();
        self.name_parts(&names);
        visit::visit_path(self, path);
    }

    /// `pub(in crate::store)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    /// The arguments of a macro are tokens, whatever they mean.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let text = item.tokens.to_string().replace(" :: ", "::");
        for word in text.split(|c: char| !(c.is_alphanumeric() || "_:".contains(c))) {
            self.name(word.split("::"));
        }
    }
}

/// Whether an item is there for tests only: `#[cfg(test)]`.
fn is_test(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Fn(it) => &it.attrs,
        syn::Item::Impl(it) => &it.attrs,
        syn::Item::Mod(it) => &it.attrs,
        syn::Item::Struct(it) => &it.attrs,
        syn::Item::Use(it) => &it.attrs,
        _ => return false,
    };
    let is_test = |meta: &syn::Meta| {
        let syn::Meta::List(list) = meta else {
            return false;
        };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg") && matches!(condition.as_str(), "test" | "fuzzing")
    };
    attributes.iter().any(|attribute| is_test(&attribute.meta))
}
