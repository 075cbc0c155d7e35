//! Formats an image for `locald image inspect`.

use serde_json::{Value, json};

use super::measure::{bytes, counted};
use super::sanitise::clean;
use super::style::Style;

/// The names and documents of an image (OCI image specification, "Image
/// Manifest" and "Image Configuration").
#[derive(Debug)]
pub(crate) struct ImageDetails {
    pub(crate) digest: String,
    pub(crate) names: Vec<String>,
    pub(crate) manifest: Value,
    pub(crate) config: Value,
}

impl ImageDetails {
    pub(super) fn json(&self) -> Value {
        json!({
            "event": "image",
            "digest": self.digest,
            "names": self.names,
            "size": self.size(),
            "manifest": self.manifest,
            "config": self.config,
        })
    }

    pub(super) fn lines(&self, style: Style) -> Vec<String> {
        let config = &self.config["config"];
        let layers = self.manifest["layers"].as_array().map_or(0, Vec::len);
        let layers = counted(layers as u64, "layer");
        let platform = format!(
            "{}/{}",
            text(&self.config["os"]),
            text(&self.config["architecture"])
        );
        let mut sections = vec![
            ("Names", self.names.clone()),
            ("Digest", vec![self.digest.clone()]),
            ("Size", vec![format!("{} in {layers}", bytes(self.size()))]),
            ("Platform", vec![platform]),
            ("Created", vec![text(&self.config["created"])]),
            ("User", vec![text(&config["User"])]),
            ("Directory", vec![text(&config["WorkingDir"])]),
            ("Run image", vec![self.run_image()]),
            ("Buildpacks", self.buildpacks()),
            ("Processes", self.processes()),
            ("Environment", texts(&config["Env"])),
        ];
        sections.retain(|(_, values)| values.iter().any(|value| !value.is_empty()));
        let width = sections
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        let mut lines = Vec::new();
        for (name, values) in sections {
            let mut label = style.strong(&format!("{name:width$}"));
            for value in values {
                lines.push(format!("{label}  {}", clean(&value)));
                label = " ".repeat(width);
            }
        }
        lines
    }

    /// Returns the number of layers.
    pub(crate) fn layers(&self) -> usize {
        self.manifest["layers"].as_array().map_or(0, Vec::len)
    }

    fn size(&self) -> u64 {
        let layers = self.manifest["layers"].as_array().into_iter().flatten();
        let blobs = layers.chain(std::iter::once(&self.manifest["config"]));
        blobs
            .filter_map(|blob| blob["size"].as_u64())
            .fold(0, u64::saturating_add)
    }

    /// Parses a label that holds a JSON document of the lifecycle (CNB platform
    /// specification, "Labels").
    fn label(&self, name: &str) -> Value {
        let text = self.config["config"]["Labels"][name].as_str();
        serde_json::from_str(text.unwrap_or_default()).unwrap_or_default()
    }

    fn run_image(&self) -> String {
        let metadata = self.label("io.buildpacks.lifecycle.metadata");
        text(&metadata["runImage"]["image"])
    }

    fn buildpacks(&self) -> Vec<String> {
        let metadata = self.label("io.buildpacks.build.metadata");
        let buildpacks = metadata["buildpacks"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let name = |it: &Value| format!("{} {}", text(&it["id"]), text(&it["version"]));
        buildpacks.iter().map(name).collect()
    }

    fn processes(&self) -> Vec<String> {
        let metadata = self.label("io.buildpacks.build.metadata");
        let entrypoint = texts(&self.config["config"]["Entrypoint"]).concat();
        let default = entrypoint.strip_prefix("/cnb/process/").unwrap_or_default();
        let processes = metadata["processes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let line = |it: &Value| {
            let kind = text(&it["type"]);
            let words = [texts(&it["command"]), texts(&it["args"])]
                .concat()
                .join(" ");
            let mark = if kind == default { " (default)" } else { "" };
            format!("{kind}{mark}: {words}")
        };
        processes.iter().map(line).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the texts of a JSON string or array.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().map(text).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_shown_and_what_is_missing_is_not() {
        let metadata = r#"{"processes":[{"type":"web","command":["python3"],"args":["app.py"]}],"buildpacks":[{"id":"a/b","version":"1"}]}"#;
        let details = ImageDetails {
            digest: "sha256:abc".to_owned(),
            names: vec!["shop".to_owned(), "ghcr.io/me/shop".to_owned()],
            manifest: json!({"config": {"size": 10}, "layers": [{"size": 1000}, {"size": 2000}]}),
            config: json!({"os": "linux", "architecture": "amd64", "config": {
                "Entrypoint": ["/cnb/process/web"],
                "Env": ["A=\u{1b}[31m1"],
                "Labels": {"io.buildpacks.build.metadata": metadata},
            }}),
        };
        insta::assert_snapshot!(details.lines(Style::new(false)).join("\n"));
        assert_eq!(details.json()["size"], 3010);
    }
}
