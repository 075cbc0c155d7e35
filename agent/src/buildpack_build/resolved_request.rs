//! Parses a build request: references, identifiers, defaults.

use protocol::request::{BuildRequest, Buildpack};
use protocol::{Failure, FailureKind};

use crate::images::reference::ImageRef;
use crate::store::ProjectId;

/// A build request whose references are parsed.
pub(super) struct ResolvedRequest {
    pub(super) request: BuildRequest,
    pub(super) project: ProjectId,
    /// At least one reference. The first is that of the image itself.
    pub(super) names: Vec<ImageRef>,
    pub(super) builder: ImageRef,
    /// References of the images that contain buildpacks, in the order of the
    /// request.
    pub(super) buildpackages: Vec<ImageRef>,
}

impl ResolvedRequest {
    pub(super) fn new(request: BuildRequest) -> Result<Self, Failure> {
        let mut names = Vec::new();
        for name in &request.names {
            let name: ImageRef = name.parse()?;
            if name.digest().is_some() {
                let message = format!("{} is a digest: an image gets its own", name.familiar());
                return Err(Failure::new(FailureKind::Invalid, message));
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            let message = "the image has no name";
            return Err(Failure::new(FailureKind::Invalid, message));
        }
        check_one_registry(&names)?;
        Ok(Self {
            project: request.project.id.parse()?,
            builder: request.builder.parse()?,
            buildpackages: buildpackages(&request)?,
            names,
            request,
        })
    }

    /// The first reference of the image.
    pub(super) fn name(&self) -> &ImageRef {
        &self.names[0]
    }

    /// The further references of the image, canonical.
    pub(super) fn tags(&self) -> Vec<String> {
        self.names[1..].iter().map(ToString::to_string).collect()
    }

    /// The number of source trees: the application and its buildpacks.
    pub(super) fn trees(&self) -> u16 {
        let tree = |buildpack: &Buildpack| match buildpack {
            Buildpack::Tree(tree) => Some(*tree),
            _ => None,
        };
        let last = self.request.named_buildpacks().filter_map(tree).max();
        last.map_or(1, |last| last.saturating_add(1))
    }
}

fn buildpackages(request: &BuildRequest) -> Result<Vec<ImageRef>, Failure> {
    let images = request
        .named_buildpacks()
        .filter_map(|buildpack| match buildpack {
            Buildpack::Image(image) => Some(image),
            _ => None,
        });
    images.map(|image| Ok(image.parse()?)).collect()
}

/// The lifecycle exports to one registry at a time.
fn check_one_registry(names: &[ImageRef]) -> Result<(), Failure> {
    let first = &names[0];
    match names
        .iter()
        .find(|name| name.registry() != first.registry())
    {
        None => Ok(()),
        Some(other) => {
            let message = format!(
                "{} and {} are in different registries",
                first.familiar(),
                other.familiar()
            );
            Err(Failure::new(FailureKind::Invalid, message)
                .with_hint("build under one name, then `locald push IMAGE TARGET`"))
        }
    }
}
