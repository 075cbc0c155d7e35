//! What a fuzzer, and the replay of its corpus, call with bytes that anybody
//! may have sent. Each target must neither panic nor hang nor take more memory
//! than its input deserves, and holds what it says beside that.

mod accounts;
mod documents;
mod layer;
mod lifecycle;
mod names;
mod terminal;
mod wire;

/// A target: takes any bytes, panics when something is wrong.
pub type Target = fn(&[u8]);

/// All targets by their names, which are those of their corpora.
pub const TARGETS: [(&str, Target); 12] = [
    ("frame", wire::frame),
    ("message", wire::message),
    ("hello", wire::hello),
    ("tar_headers", layer::tar_headers),
    ("layer_apply", layer::layer_apply),
    ("manifest", documents::manifest),
    ("image_config", documents::image_config),
    ("reference", names::reference),
    ("www_authenticate", accounts::www_authenticate),
    ("docker_config", accounts::docker_config),
    ("lifecycle_toml", lifecycle::lifecycle_toml),
    ("terminal", terminal::terminal),
];

/// Calls a target by its name.
///
/// # Panics
/// When there is none, or when it finds something.
pub fn call(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.unwrap_or_else(|| panic!("there is no target {name}"));
    target(bytes);
}
