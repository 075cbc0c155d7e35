//! Parses the labels of an image that contains buildpacks: CNB distribution
//! specification, "Buildpackages".
//!
//! The layers of such an image contain only files below `/cnb/buildpacks`.
//! Stacked over the layers of a builder, they form a builder with these
//! buildpacks.

use std::sync::Arc;

use protocol::{Failure, FailureKind};
use serde::Deserialize;

use crate::buildpack_build::builder::BuildpackInfo;
use crate::images::reference::ImageRef;
use crate::store::Image;

const METADATA: &str = "io.buildpacks.buildpackage.metadata";

/// An image that contains a buildpack and all the buildpacks of its order.
#[derive(Debug, Clone)]
pub struct Buildpackage {
    /// The reference of the image.
    pub name: ImageRef,
    /// The manifest and the configuration.
    pub image: Arc<Image>,
    /// The main buildpack of the image.
    pub buildpack: BuildpackInfo,
}

/// An image cannot be used as a buildpack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildpackageError {
    /// A label is missing.
    #[error("{image} is not a buildpack: it has no label {METADATA}")]
    NotABuildpack {
        /// Familiar name.
        image: String,
    },
    /// A label violates the specification.
    #[error("the label {METADATA} of {image} is malformed")]
    Malformed {
        /// Familiar name.
        image: String,
        /// The reason, as a clause.
        reason: String,
    },
}

impl Buildpackage {
    /// Parses the labels of an image.
    pub fn parse(name: &ImageRef, image: &Arc<Image>) -> Result<Self, BuildpackageError> {
        let runtime = image.config.runtime();
        Ok(Self {
            name: name.clone(),
            image: Arc::clone(image),
            buildpack: parse(&name.familiar(), runtime.label(METADATA))?,
        })
    }
}

fn parse(image: &str, label: Option<&str>) -> Result<BuildpackInfo, BuildpackageError> {
    #[derive(Deserialize)]
    struct Metadata {
        id: String,
        version: String,
    }
    let image = image.to_owned();
    let Some(label) = label else {
        return Err(BuildpackageError::NotABuildpack { image });
    };
    match serde_json::from_str(label) {
        Ok(Metadata { id, version }) => Ok(BuildpackInfo { id, version }),
        Err(error) => Err(BuildpackageError::Malformed {
            image,
            reason: error.to_string(),
        }),
    }
}

impl From<BuildpackageError> for Failure {
    fn from(error: BuildpackageError) -> Self {
        let mut failure = Self::from_error(FailureKind::Builder, &error);
        if let BuildpackageError::Malformed { reason, .. } = error {
            failure.causes.push(reason);
        }
        failure.with_hint("name an image that `pack buildpack package` has made, such as docker.io/paketobuildpacks/nodejs")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_label_names_the_buildpack() {
        let label = r#"{"id":"paketo-buildpacks/nodejs","version":"7.1.0","homepage":"x","stacks":[{"id":"*"}]}"#;
        let buildpack = parse("p/nodejs", Some(label)).unwrap();
        assert_eq!(
            (buildpack.id.as_str(), buildpack.version.as_str()),
            ("paketo-buildpacks/nodejs", "7.1.0")
        );
    }

    #[test]
    fn another_image_is_refused() {
        let none = parse("debian:12", None).unwrap_err();
        assert!(none.to_string().starts_with("debian:12 is not a buildpack"));
        let broken = parse("x", Some("{")).unwrap_err();
        assert!(matches!(broken, BuildpackageError::Malformed { .. }));
    }
}
