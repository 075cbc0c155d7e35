//! Parses the labels of a builder image: CNB platform specification,
//! "Builders", and the labels that `pack builder create` writes.

mod api;

use serde::Deserialize;

pub use api::PlatformApi;

use crate::images::reference::ImageRef;
use crate::request::abridged_list::some_of;
use crate::store::{Image, RuntimeConfig};

const METADATA: &str = "io.buildpacks.builder.metadata";
const EXTENSIONS: &str = "io.buildpacks.buildpack.order-extensions";

/// A builder that locald supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// User id of all phases.
    pub uid: u32,
    /// Group id of all phases.
    pub gid: u32,
    /// The highest Platform API that locald and the lifecycle support.
    pub api: PlatformApi,
    /// Version of the lifecycle, for messages.
    pub lifecycle: String,
    /// Run images, the preferred one first, each with its mirrors.
    pub run_images: Vec<RunImage>,
    /// Buildpacks in the image.
    pub buildpacks: Vec<BuildpackInfo>,
    /// The environment variables of the image.
    pub env: Vec<(String, String)>,
}

/// A run image and its mirrors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RunImage {
    /// Its reference.
    pub image: String,
    /// Other references to the same image.
    #[serde(default)]
    pub mirrors: Option<Vec<String>>,
}

/// A buildpack of a builder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BuildpackInfo {
    /// `owner/name`
    pub id: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
}

/// An image cannot be used as a builder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuilderError {
    /// A label is missing.
    #[error("{image} is not a builder: it has no label {METADATA}")]
    NotABuilder {
        /// Familiar name.
        image: String,
    },
    /// A label violates the specification.
    #[error("builder {image} is not usable: {reason}")]
    Unusable {
        /// Familiar name.
        image: String,
        /// The reason, as a clause.
        reason: String,
    },
    /// locald and the builder's lifecycle have no Platform API in common.
    #[error("builder {image} speaks Platform API {theirs}, locald {ours}")]
    PlatformApi {
        /// Familiar name.
        image: String,
        /// The Platform APIs of the builder's lifecycle.
        theirs: String,
        /// The Platform APIs of locald.
        ours: String,
    },
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    buildpacks: Option<Vec<BuildpackInfo>>,
    #[serde(default)]
    stack: Option<Stack>,
    #[serde(default)]
    images: Option<Vec<RunImage>>,
    #[serde(default)]
    lifecycle: Lifecycle,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stack {
    run_image: Option<RunImage>,
}

#[derive(Default, Deserialize)]
struct Lifecycle {
    #[serde(default)]
    version: String,
    #[serde(default)]
    api: Option<OldApis>,
    #[serde(default)]
    apis: Option<Apis>,
}

/// The form of the label before lifecycles supported several versions.
#[derive(Deserialize)]
struct OldApis {
    #[serde(default)]
    platform: String,
}

#[derive(Deserialize)]
struct Apis {
    platform: ApiSet,
}

#[derive(Deserialize)]
struct ApiSet {
    #[serde(default)]
    deprecated: Option<Vec<String>>,
    #[serde(default)]
    supported: Option<Vec<String>>,
}

impl Builder {
    /// Parses the labels and the user of a builder image.
    pub fn parse(name: &ImageRef, image: &Image) -> Result<Self, BuilderError> {
        Self::from_runtime(&name.familiar(), &image.config.runtime())
    }

    pub(crate) fn from_runtime(image: &str, runtime: &RuntimeConfig) -> Result<Self, BuilderError> {
        let unusable = |reason: String| BuilderError::Unusable {
            image: image.to_owned(),
            reason,
        };
        let label = runtime.label(METADATA);
        let label = label.ok_or_else(|| BuilderError::NotABuilder {
            image: image.to_owned(),
        })?;
        let metadata: Metadata = serde_json::from_str(label)
            .map_err(|error| unusable(format!("its label {METADATA} is malformed: {error}")))?;
        if has_extensions(runtime) {
            let reason = "it has image extensions, which locald does not run yet";
            return Err(unusable(reason.to_owned()));
        }
        let id = |name: &str| {
            let id = runtime.variable(name).and_then(|text| text.parse().ok());
            match id {
                None => Err(unusable(format!("it does not set {name} to a number"))),
                Some(0) => Err(unusable(format!(
                    "{name} is 0, and phases must not be root"
                ))),
                Some(id) => Ok(id),
            }
        };
        Ok(Self {
            uid: id("CNB_USER_ID")?,
            gid: id("CNB_GROUP_ID")?,
            api: choose_api(image, &metadata.lifecycle)?,
            run_images: run_images(&metadata),
            lifecycle: metadata.lifecycle.version,
            buildpacks: metadata.buildpacks.unwrap_or_default(),
            env: runtime.environment().collect(),
        })
    }

    /// References of the run image, the preferred one first: one in the
    /// target's registry, the builder's own, its mirrors.
    pub fn run_image(&self, target_registry: &str) -> Vec<&str> {
        let all = self.run_images.first().map(RunImage::names);
        let near = |name: &&str| {
            let parsed = name.parse::<ImageRef>();
            parsed.is_ok_and(|name| name.registry() == target_registry)
        };
        let mut all = all.unwrap_or_default();
        if let Some(near) = all.iter().position(near) {
            all[..=near].rotate_right(1);
        }
        all
    }

    /// All references of the run image that has the reference `name`.
    pub fn names_beside(&self, name: &ImageRef) -> Vec<ImageRef> {
        let parsed = |image: &RunImage| -> Vec<ImageRef> {
            let names = image.names().into_iter();
            names.filter_map(|name| name.parse().ok()).collect()
        };
        let mut images = self.run_images.iter().map(parsed);
        images
            .find(|names| names.contains(name))
            .unwrap_or_default()
    }
}

impl RunImage {
    /// The reference and its mirrors.
    fn names(&self) -> Vec<&str> {
        let mirrors = self.mirrors.iter().flatten();
        let all = std::iter::once(&self.image).chain(mirrors);
        all.map(String::as_str).collect()
    }
}

fn has_extensions(runtime: &RuntimeConfig) -> bool {
    let label = runtime.label(EXTENSIONS).unwrap_or_default().trim();
    !matches!(label, "" | "null" | "[]")
}

fn run_images(metadata: &Metadata) -> Vec<RunImage> {
    match &metadata.images {
        Some(images) if !images.is_empty() => images.clone(),
        _ => {
            let stack = metadata.stack.as_ref();
            let image = stack.and_then(|stack| stack.run_image.clone());
            image
                .filter(|image| !image.image.is_empty())
                .into_iter()
                .collect()
        }
    }
}

fn choose_api(image: &str, lifecycle: &Lifecycle) -> Result<PlatformApi, BuilderError> {
    let mut theirs: Vec<String> = Vec::new();
    if let Some(apis) = &lifecycle.apis {
        let sets = [&apis.platform.deprecated, &apis.platform.supported];
        theirs.extend(sets.into_iter().flatten().flatten().cloned());
    } else if let Some(api) = &lifecycle.api {
        theirs.push(api.platform.clone());
    }
    let known = theirs.iter().filter_map(|text| PlatformApi::known(text));
    known.max().ok_or_else(|| BuilderError::PlatformApi {
        image: image.to_owned(),
        theirs: if theirs.is_empty() {
            "of no version".to_owned()
        } else {
            some_of(&theirs)
        },
        ours: PlatformApi::range(),
    })
}

impl From<BuilderError> for protocol::Failure {
    fn from(error: BuilderError) -> Self {
        let hint = match &error {
            BuilderError::NotABuilder { .. } => {
                "name a builder with --builder, or as `builder` in locald.toml, such as heroku/builder:26"
            }
            BuilderError::Unusable { .. } => "use another builder, such as heroku/builder:26",
            BuilderError::PlatformApi { .. } => "use a newer version of the builder, or of locald",
        };
        Self::from_error(protocol::FailureKind::Builder, &error).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// The labels of `heroku/builder:24`, abridged.
    const HEROKU: &str = r#"{"description":"Ubuntu 24.04","buildpacks":[{"id":"heroku/rust","version":"1.0.0","homepage":"x"}],
        "stack":{"runImage":{"image":"heroku/heroku:24","mirrors":null}},
        "images":[{"image":"heroku/heroku:24","mirrors":["localhost:5000/heroku:24"]}],
        "lifecycle":{"version":"0.20.11","api":{"buildpack":"0.7","platform":"0.7"},
        "apis":{"buildpack":{"deprecated":[],"supported":["0.7","0.11"]},"platform":{"deprecated":null,"supported":["0.7","0.9","0.10","0.14","0.99"]}}},
        "createdBy":{"name":"Pack CLI","version":"0.38.2"}}"#;

    fn runtime(metadata: &str, env: &[&str]) -> RuntimeConfig {
        RuntimeConfig {
            env: Some(env.iter().map(|pair| (*pair).to_owned()).collect()),
            labels: Some([(METADATA.to_owned(), metadata.to_owned())].into()),
            ..RuntimeConfig::default()
        }
    }

    const ENV: [&str; 2] = ["CNB_USER_ID=1002", "CNB_GROUP_ID=1000"];

    #[test]
    fn a_builder_is_read() {
        let builder = Builder::from_runtime("b", &runtime(HEROKU, &ENV)).unwrap();
        assert_eq!((builder.uid, builder.gid), (1002, 1000));
        assert_eq!(builder.api.to_string(), "0.14");
        let (first, mirror) = ("heroku/heroku:24", "localhost:5000/heroku:24");
        assert_eq!(builder.run_image("ghcr.io"), [first, mirror]);
        assert_eq!(builder.run_image("localhost:5000"), [mirror, first]);
        let names = builder.names_beside(&mirror.parse().unwrap());
        assert_eq!(names, [first, mirror].map(|name| name.parse().unwrap()));
        assert_eq!(builder.names_beside(&"other".parse().unwrap()), []);
    }

    #[test]
    fn what_is_no_usable_builder_says_why() {
        let none = Builder::from_runtime("b", &RuntimeConfig::default()).unwrap_err();
        assert!(matches!(none, BuilderError::NotABuilder { .. }));
        let no_user = Builder::from_runtime("b", &runtime(HEROKU, &[])).unwrap_err();
        assert!(no_user.to_string().contains("CNB_USER_ID"), "{no_user}");
        let root = Builder::from_runtime("b", &runtime(HEROKU, &["CNB_USER_ID=0"])).unwrap_err();
        assert!(root.to_string().contains("root"), "{root}");
        let old = HEROKU.replace(r#""0.7","0.9","0.10","0.14","0.99""#, r#""0.3""#);
        let old = Builder::from_runtime("b", &runtime(&old, &ENV)).unwrap_err();
        assert_eq!(
            old.to_string(),
            "builder b speaks Platform API 0.3, locald 0.7 to 0.15"
        );
    }
}
