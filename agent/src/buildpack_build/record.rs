//! Remembers what the last build of a project was made from, and which image it
//! made.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::BuildVariable;
use protocol::request::{BuildRequest, Buildpack, SourceOrigin};
use serde::{Deserialize, Serialize};

use crate::images::digest::{Digest, Hasher};

/// The file's name in the project's directory.
const FILE: &str = "last-build.json";
/// Raised when the meaning of a fingerprint changes, so that a new locald
/// builds anew instead of trusting an old record.
const GENERATION: u32 = 1;

/// The last build of a project that ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Digest over all inputs.
    pub fingerprint: Digest,
    /// Manifest digest of the image.
    pub image: Digest,
    /// Manifest digest of the builder.
    pub builder: Digest,
    /// The builder's reference, to fetch it again.
    pub builder_name: String,
    /// The Platform API of the build.
    pub platform_api: String,
    /// The builder's user.
    pub uid: u32,
    /// The builder's group.
    pub gid: u32,
    /// The project's folder, as its user knows it.
    pub folder: String,
    /// Manifest digest of the run image.
    pub run_image: Digest,
    /// Manifest digests of buildpacks that are images.
    pub buildpackages: Vec<Digest>,
}

impl BuildRecord {
    /// The record in a project's directory; absent when there is none, or
    /// when it was written by a version that meant something else.
    pub fn load(project: &Path) -> Option<Self> {
        let bytes = fs_err::read(project.join(FILE)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Replaces the record, in one step.
    pub fn save(&self, project: &Path) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(project)?;
        serde_json::to_writer(&mut file, self)?;
        file.as_file().sync_all()?;
        file.persist(project.join(FILE))?;
        Ok(())
    }

    /// Removes the record: what is beside it is about to be another build's.
    pub fn remove(project: &Path) -> std::io::Result<()> {
        crate::store::remove_file(&project.join(FILE))
    }

    /// Notes that the last build was used once more.
    pub fn touch(project: &Path) -> std::io::Result<()> {
        let file = fs_err::OpenOptions::new()
            .append(true)
            .open(project.join(FILE))?;
        file.file().set_modified(SystemTime::now())
    }

    /// Seconds since the epoch when a project was last built, or found
    /// unchanged; without a finished build, when something was last made in its
    /// directory.
    pub fn used(project: &Path) -> u64 {
        let modified = |path: &Path| fs_err::metadata(path)?.modified();
        let modified = modified(&project.join(FILE)).or_else(|_| modified(project));
        // A record whose time cannot be read counts as recent.
        let since = modified.unwrap_or_else(|_| SystemTime::now());
        let since = since.duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }
}

/// Everything that decides what a build makes.
#[derive(Debug)]
pub(super) struct BuildInputs<'a> {
    /// The request; only the options that matter are looked at.
    pub request: &'a BuildRequest,
    /// The buildpack of locald's own that may be used.
    pub embedded: Option<&'a str>,
    /// Digests of all source trees, in their order.
    pub sources: &'a [Digest],
    /// Manifest digest of each buildpack that is an image.
    pub buildpackages: &'a [Digest],
    /// Manifest digest of the builder.
    pub builder: &'a Digest,
    /// Manifest digest of the run image.
    pub run_image: &'a Digest,
    /// Canonical name of the run image.
    pub run_name: &'a str,
    /// Canonical name of the image: it is written into the image's labels.
    pub name: &'a str,
}

/// The digest over the inputs of a build. Each field is preceded by its name
/// and length, so that no two sets of inputs look alike.
pub(super) fn fingerprint(inputs: &BuildInputs<'_>) -> Digest {
    let mut hasher = Fields(Hasher::new());
    hasher.field("generation", &GENERATION.to_string());
    for source in inputs.sources {
        hasher.field("source", &source.to_string());
    }
    for buildpackage in inputs.buildpackages {
        hasher.field("buildpackage", &buildpackage.to_string());
    }
    hasher.field("builder", &inputs.builder.to_string());
    hasher.field("run-image", &inputs.run_image.to_string());
    hasher.field("run-name", inputs.run_name);
    hasher.field("name", inputs.name);
    let request = inputs.request;
    hasher.buildpacks("buildpack", &request.buildpacks);
    hasher.buildpacks("pre-buildpack", &request.pre_buildpacks);
    hasher.buildpacks("post-buildpack", &request.post_buildpacks);
    if let Some(embedded) = inputs.embedded {
        hasher.field("embedded", embedded);
    }
    for BuildVariable { name, value } in &request.env {
        hasher.field("env-name", name.as_str());
        hasher.field("env-value", value);
    }
    hasher.field("network", &format!("{:?}", request.network));
    hasher.field("created", &format!("{:?}", request.creation_time));
    if request.origin == SourceOrigin::Archive {
        hasher.field("origin", "archive");
    }
    hasher.field("process", request.default_process.as_deref().unwrap_or(""));
    hasher.0.finish()
}

struct Fields(Hasher);

impl Fields {
    fn buildpacks(&mut self, name: &str, buildpacks: &[Buildpack]) {
        for buildpack in buildpacks {
            match buildpack {
                Buildpack::Named(id) => self.field(name, id),
                Buildpack::Tree(tree) => self.field(&format!("{name}-tree"), &tree.to_string()),
                Buildpack::Image(image) => self.field(&format!("{name}-image"), image),
            }
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        self.0.update(name.as_bytes());
        self.0.update(&(value.len() as u64).to_le_bytes());
        self.0.update(value.as_bytes());
    }
}
