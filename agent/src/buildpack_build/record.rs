//! Records the inputs of a project's last build and the image that it made.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::BuildVariable;
use protocol::request::{BuildRequest, Buildpack, SourceOrigin};
use serde::{Deserialize, Serialize};

use crate::images::digest::{Digest, Hasher};

/// The name of the file in the project's directory.
const FILE: &str = "last-build.json";
/// Increase it when the meaning of a fingerprint changes. A newer locald then
/// builds again and does not use an old record.
const GENERATION: u32 = 1;

/// The last successful build of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Digest of all inputs.
    pub fingerprint: Digest,
    /// Manifest digest of the image.
    pub image: Digest,
    /// Manifest digest of the builder.
    pub builder: Digest,
    /// The builder's reference, from which locald can fetch it again.
    pub builder_name: String,
    /// The Platform API of the build.
    pub platform_api: String,
    /// User id of the builder.
    pub uid: u32,
    /// Group id of the builder.
    pub gid: u32,
    /// The project's folder, as the user knows it.
    pub folder: String,
    /// Manifest digest of the run image.
    pub run_image: Digest,
    /// Manifest digests of the images that contain buildpacks.
    pub buildpackages: Vec<Digest>,
}

impl BuildRecord {
    /// The record in a project's directory; absent if there is none, or if a
    /// version with another meaning wrote it.
    pub fn load(project: &Path) -> Option<Self> {
        let bytes = fs_err::read(project.join(FILE)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Replaces the record in one step.
    pub fn save(&self, project: &Path) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(project)?;
        serde_json::to_writer(&mut file, self)?;
        file.as_file().sync_all()?;
        file.persist(project.join(FILE))?;
        Ok(())
    }

    /// Removes the record, before another build changes the files that it
    /// describes.
    pub fn remove(project: &Path) -> std::io::Result<()> {
        crate::store::remove_file(&project.join(FILE))
    }

    /// Records that the last build was used again.
    pub fn touch(project: &Path) -> std::io::Result<()> {
        let file = fs_err::OpenOptions::new()
            .append(true)
            .open(project.join(FILE))?;
        file.file().set_modified(SystemTime::now())
    }

    /// Seconds since the epoch when the project was last built or found
    /// unchanged. Without a finished build, the time when its directory last
    /// changed.
    pub fn used(project: &Path) -> u64 {
        let modified = |path: &Path| fs_err::metadata(path)?.modified();
        let modified = modified(&project.join(FILE)).or_else(|_| modified(project));
        // A time that cannot be read counts as now.
        let since = modified.unwrap_or_else(|_| SystemTime::now());
        let since = since.duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }
}

/// All inputs that determine the result of a build.
#[derive(Debug)]
pub(super) struct BuildInputs<'a> {
    /// The request. Only the options that affect the result count.
    pub request: &'a BuildRequest,
    /// Digest of the embedded buildpack that the build may use.
    pub embedded: Option<&'a str>,
    /// Digests of all source trees, in the order of the request.
    pub sources: &'a [Digest],
    /// Manifest digest of each image that contains a buildpack.
    pub buildpackages: &'a [Digest],
    /// Manifest digest of the builder.
    pub builder: &'a Digest,
    /// Manifest digest of the run image.
    pub run_image: &'a Digest,
    /// Canonical reference of the run image.
    pub run_name: &'a str,
    /// Canonical reference of the image, which the lifecycle writes into its
    /// labels.
    pub name: &'a str,
}

/// The digest of the inputs of a build. The name and the length of each field
/// precede it, so that no two sets of inputs have the same encoding.
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
