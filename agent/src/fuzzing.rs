//! Exports the code that reads untrusted input to `fuzz/`.

use std::path::Path;

use protocol::Failure;
use protocol::request::{ProcessProxies, RegistryAccess, RunRequest, Stdio};

use crate::buildpack_build;
use crate::buildpack_build::builder::{Builder, BuildpackInfo};
use crate::buildpack_build::lifecycle;
use crate::commands::run;
use crate::container::ContainerSpec;
use crate::process::ca_bundle::CaBundle;
use crate::process::environment::Environment;
use crate::store::{Descriptor, RuntimeConfig};

/// Whether a manifest from a registry is a valid index.
pub fn reads_index(descriptor: &Descriptor, bytes: &[u8]) -> bool {
    crate::registry::reads_index(descriptor, bytes)
}

/// The realm of a `WWW-Authenticate` header.
pub fn realm(header: &str) -> Option<String> {
    crate::registry::realm(header)
}

/// The container in which `locald run` would start an image's default process.
pub fn container(runtime: RuntimeConfig, root: &Path) -> Result<ContainerSpec, Failure> {
    let request = RunRequest {
        image: "fuzzed".to_owned(),
        process: None,
        args: Vec::new(),
        direct: false,
        env: Vec::new(),
        stdio: Stdio::Pipes,
        access: RegistryAccess::default(),
        terminal: Vec::new(),
        proxies: ProcessProxies::Image,
    };
    let root_only = CaBundle::as_it_is(vec![root.to_owned()]);
    run::specification(&request, runtime, root_only, root)
}

/// Whether the labels of an image describe a valid builder.
pub fn reads_builder(runtime: &RuntimeConfig) -> bool {
    Builder::from_runtime("fuzzed", runtime).is_ok()
}

/// Adds one more group to a builder's `order.toml`.
pub fn extended_order(order: &str) -> Option<String> {
    let last = BuildpackInfo {
        id: "locald/last".to_owned(),
        version: "1".to_owned(),
    };
    lifecycle::with_last_group(order, &last).ok()
}

/// The environment that the layers of a build set.
pub fn layer_environment(layers: &Path) -> Option<Vec<(String, String)>> {
    let mut environment = Environment::default();
    buildpack_build::apply_layer_env(layers, &mut environment).ok()?;
    Some(environment.into_pairs())
}
