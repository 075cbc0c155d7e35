//! Formats the list of images.

use protocol::event::{ImageRole, ImageSummary};
use serde_json::{Value, json};

use super::measure::{age, bytes, now, short_digest};
use super::sanitise::clean;
use super::table::table;

pub(super) fn lines(images: &[ImageSummary]) -> Vec<String> {
    if images.is_empty() {
        return vec!["No images yet: `locald build` makes one.".to_owned()];
    }
    let now = now();
    let mut rows = vec![
        ["NAME", "DIGEST", "SIZE", "AGE", "KIND"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(images.iter().map(|image| {
        vec![
            clean(&image.name),
            short_digest(&clean(&image.digest)),
            bytes(image.size),
            age(now.saturating_sub(image.updated)),
            role(image.role).to_owned(),
        ]
    }));
    table(&rows)
}

pub(super) fn json(image: &ImageSummary) -> Value {
    json!({
        "name": image.name,
        "digest": image.digest,
        "size": image.size,
        "updated": image.updated,
        "kind": role(image.role).replace(' ', "-"),
    })
}

pub(super) const fn role(role: ImageRole) -> &'static str {
    match role {
        ImageRole::Application => "application",
        ImageRole::Builder => "builder",
        ImageRole::RunImage => "run image",
        ImageRole::Other => "other",
        ImageRole::Buildpack => "buildpack",
    }
}
