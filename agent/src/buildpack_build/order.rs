//! Decides which buildpacks the detect phase tries: those of the request, or
//! else the builder's order followed by the embedded buildpack.

use std::path::{Path, PathBuf};

use protocol::request::{Buildpack, EmbeddedBuildpacks};
use protocol::{Failure, FailureKind};

use super::images::Images;
use super::resolved_request::ResolvedRequest;
use crate::buildpack_build::builder::BuildpackInfo;
use crate::buildpack_build::buildpackage::Buildpackage;
use crate::buildpack_build::embedded::{Embedded, RUST};
use crate::buildpack_build::lifecycle;
use crate::request::abridged_list::some_of;
use crate::store::Store;
use crate::store::layer::merged::Merged;
use crate::sync::source::Source;

/// The most bytes of an order file. Valid files are much smaller.
const CAP: u64 = 4 * 1024 * 1024;

/// The most bytes of a directory's name.
const LONGEST: usize = 255;

/// The directory in which the lifecycle looks for buildpacks.
const BUILDPACKS: &str = "/cnb/buildpacks";

/// A buildpack that is not in the builder, and the path at which the lifecycle
/// looks for it.
pub(super) struct BuildpackTree {
    pub(super) path: PathBuf,
    pub(super) target: PathBuf,
}

/// The buildpacks of a build.
#[derive(Default)]
pub(super) struct Order {
    /// The content of `order.toml`; absent if the builder's own file applies.
    pub(super) toml: Option<String>,
    /// The buildpacks to mount for this order.
    pub(super) trees: Vec<BuildpackTree>,
}

/// The inputs of the decision.
pub(super) struct Choice<'a> {
    pub(super) store: &'a Store,
    pub(super) resolved: &'a ResolvedRequest,
    pub(super) images: &'a Images,
    /// The lower directories of the phases' root file system.
    pub(super) lowers: &'a [PathBuf],
    pub(super) sources: &'a [Source],
}

/// The embedded buildpack that a build may use.
pub(super) fn embedded(
    resolved: &ResolvedRequest,
    sources: &[Source],
) -> Option<&'static Embedded> {
    let request = &resolved.request;
    let named =
        |buildpack: &Buildpack| matches!(buildpack, Buildpack::Named(name) if RUST.is_called(name));
    let wanted = request.named_buildpacks().any(named)
        || (request.buildpacks.is_empty() && RUST.is_for(&sources.first()?.path));
    let allowed = request.embedded == EmbeddedBuildpacks::Last;
    (allowed && wanted).then_some(&RUST)
}

impl Choice<'_> {
    pub(super) fn order(&self) -> Result<Order, Failure> {
        let mut members = Members {
            choice: self,
            embedded: embedded(self.resolved, self.sources),
            packages: self.images.buildpackages.iter(),
            trees: Vec::new(),
        };
        let request = &self.resolved.request;
        // The order of these calls is the order of the images.
        let first = members.find(&request.pre_buildpacks)?;
        let group = members.find(&request.buildpacks)?;
        let last = members.find(&request.post_buildpacks)?;
        let toml = if group.is_empty() {
            let last_group = members.embedded.filter(|_| self.is_embedded_last());
            if let Some(embedded) = last_group {
                members.place(embedded)?;
            }
            self.changed_order(last_group, &first, &last)?
        } else {
            let group = [first, group, last].concat();
            let toml = lifecycle::order_toml(&group);
            Some(toml.map_err(|error| Failure::from_error(FailureKind::Internal, &error))?)
        };
        let trees = members.trees;
        Ok(Order { toml, trees })
    }

    /// Whether the detect phase tries the embedded buildpack although the
    /// request does not name it.
    fn is_embedded_last(&self) -> bool {
        let source = self.sources.first();
        source.is_some_and(|source| RUST.is_for(&source.path))
    }

    /// The builder's order with one more group, and with further buildpacks
    /// around each group; absent if the request changes nothing.
    fn changed_order(
        &self,
        last_group: Option<&Embedded>,
        first: &[BuildpackInfo],
        last: &[BuildpackInfo],
    ) -> Result<Option<String>, Failure> {
        let is_around = !first.is_empty() || !last.is_empty();
        if last_group.is_none() && !is_around {
            return Ok(None);
        }
        let mut text = self.own_order();
        let malformed = |error| self.unusable(&format!("its order.toml is malformed: {error}"));
        if let Some(embedded) = last_group {
            text = lifecycle::with_last_group(&text, &embedded.info()).map_err(malformed)?;
        }
        if is_around {
            text = lifecycle::with_around(&text, first, last).map_err(malformed)?;
        }
        Ok(Some(text))
    }

    /// The content of `/cnb/order.toml` in the builder.
    fn own_order(&self) -> String {
        let text = Merged(self.lowers).text("cnb/order.toml", CAP);
        text.unwrap_or_default()
    }

    fn unusable(&self, reason: &str) -> Failure {
        let builder = self.resolved.builder.familiar();
        let message = format!("builder {builder} is not usable: {reason}");
        Failure::new(FailureKind::Builder, message)
            .with_hint("`--no-embedded-buildpacks` leaves the builder's order as it is")
    }

    fn named(&self, name: &str) -> Result<BuildpackInfo, Failure> {
        let (id, version) = name.split_once('@').unwrap_or((name, ""));
        let fits = |known: &&BuildpackInfo| {
            known.id == id && (version.is_empty() || known.version == version)
        };
        let known = &self.images.builder.buildpacks;
        if let Some(found) = known.iter().find(fits) {
            return Ok(found.clone());
        }
        let names = known
            .iter()
            .map(|known| format!("{}@{}", known.id, known.version));
        let builder = self.resolved.builder.familiar();
        let message = format!("builder {builder} has no buildpack {name}");
        Err(Failure::new(FailureKind::Builder, message)
            .with_hint(format!("it has: {}", some_of(names))))
    }
}

/// Finds the buildpacks that a request names.
struct Members<'a> {
    choice: &'a Choice<'a>,
    embedded: Option<&'static Embedded>,
    /// Buildpacks in images, in the order of the request.
    packages: std::slice::Iter<'a, Buildpackage>,
    /// The buildpacks to mount.
    trees: Vec<BuildpackTree>,
}

impl Members<'_> {
    fn find(&mut self, buildpacks: &[Buildpack]) -> Result<Vec<BuildpackInfo>, Failure> {
        let mut group = Vec::new();
        for buildpack in buildpacks {
            match buildpack {
                Buildpack::Named(name) => match (self.choice.named(name), self.embedded) {
                    (Ok(info), _) => group.push(info),
                    (Err(_), Some(embedded)) if embedded.is_called(name) => {
                        group.push(embedded.info());
                        self.place(embedded)?;
                    }
                    (Err(failure), _) => return Err(failure),
                },
                Buildpack::Tree(tree) => {
                    let path = &self.choice.sources[usize::from(*tree)].path;
                    let info = read_buildpack(path)?;
                    self.add(tree_of(&info, path))?;
                    group.push(info);
                }
                Buildpack::Image(_) => {
                    group.extend(self.packages.next().map(|image| image.buildpack.clone()));
                }
            }
        }
        Ok(group)
    }

    fn place(&mut self, embedded: &Embedded) -> Result<(), Failure> {
        let path = embedded.place(self.choice.store)?;
        self.add(tree_of(&embedded.info(), &path))
    }

    /// Adds a buildpack. A request may name one twice. Two different ones at
    /// one path are an error.
    fn add(&mut self, tree: BuildpackTree) -> Result<(), Failure> {
        let Some(known) = self.trees.iter().find(|it| it.target == tree.target) else {
            self.trees.push(tree);
            return Ok(());
        };
        let digest = |path: &Path| {
            let mut sources = self.choice.sources.iter();
            sources.find(|it| it.path == path).map(|it| it.digest)
        };
        if known.path == tree.path || digest(&known.path) == digest(&tree.path) {
            return Ok(());
        }
        let place = tree.target.strip_prefix(BUILDPACKS).unwrap_or(&tree.target);
        let message = format!("two different buildpacks are called {}", place.display());
        Err(Failure::new(FailureKind::Invalid, message)
            .with_hint("give one of them another `id` or `version`"))
    }
}

fn tree_of(info: &BuildpackInfo, path: &Path) -> BuildpackTree {
    let escaped = info.id.replace('/', "_");
    let target = Path::new(BUILDPACKS).join(escaped).join(&info.version);
    BuildpackTree {
        path: path.to_owned(),
        target,
    }
}

/// The id and version of a buildpack in a directory: buildpack specification,
/// "buildpack.toml". Follows no link out of the directory.
fn read_buildpack(path: &Path) -> Result<BuildpackInfo, Failure> {
    #[derive(serde::Deserialize)]
    struct BuildpackToml {
        buildpack: BuildpackInfo,
    }
    let refuse = |reason: String| {
        Failure::new(
            FailureKind::Invalid,
            format!("a folder given as a buildpack {reason}"),
        )
    };
    let text = Merged(&[path.to_owned()])
        .text("buildpack.toml", CAP)
        .ok_or_else(|| refuse("has no buildpack.toml".to_owned()))?;
    let parsed: BuildpackToml = toml::from_str(&text)
        .map_err(|error| refuse(format!("has a malformed buildpack.toml: {error}")))?;
    let BuildpackInfo { id, version } = &parsed.buildpack;
    if !is_plain(id) || !is_plain(version) || version.contains('/') {
        return Err(refuse(format!(
            "has an odd id {id:?} or version {version:?}"
        )));
    }
    Ok(parsed.buildpack)
}

/// Whether an id or a version is safe as a component of a path. Both are names
/// of directories below `/cnb/buildpacks`.
fn is_plain(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./+".contains(&byte);
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    text.len() <= LONGEST && text.bytes().all(known) && text.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn read(toml: &str) -> Result<BuildpackInfo, Failure> {
        let tree = tempfile::tempdir().unwrap();
        fs_err::write(tree.path().join("buildpack.toml"), toml).unwrap();
        read_buildpack(tree.path())
    }

    #[test]
    fn ids_and_versions_are_names_of_directories() {
        let toml =
            |id: &str, version: &str| format!("[buildpack]\nid = {id:?}\nversion = {version:?}\n");
        assert_eq!(read(&toml("acme/a", "1.0+x")).unwrap().id, "acme/a");
        let long = "a".repeat(LONGEST + 1);
        for odd in [
            "", ".", "..", "/", "/a", "a/", "a/../b", "a/./b", "a b", &long,
        ] {
            assert!(read(&toml(odd, "1")).is_err(), "{odd:?}");
            assert!(read(&toml("a", odd)).is_err(), "{odd:?}");
        }
        assert!(read(&toml("a", "1/2")).is_err());
    }

    #[test]
    fn no_link_leads_out_of_a_buildpack() {
        let (tree, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = other.path().join("secret");
        fs_err::write(&secret, "[buildpack]\nid = \"a\"\nversion = \"1\"\n").unwrap();
        std::os::unix::fs::symlink(&secret, tree.path().join("buildpack.toml")).unwrap();
        let failure = read_buildpack(tree.path()).unwrap_err();
        assert!(
            failure.message.ends_with("has no buildpack.toml"),
            "{failure:?}"
        );
    }
}
