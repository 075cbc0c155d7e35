//! A buildpack on libcnb.rs, the framework of Heroku. Python downloads Node from a
//! mirror over TLS, Node downloads with both of its certificate stores, and a
//! program of the layer reports its environment at launch.

use std::io::Error;
use std::path::Path;
use std::process::Command;

use libcnb::build::{BuildContext, BuildResult, BuildResultBuilder};
use libcnb::data::launch::{LaunchBuilder, ProcessBuilder};
use libcnb::data::sbom::SbomFormat;
use libcnb::data::{layer_name, process_type};
use libcnb::detect::{DetectContext, DetectResult, DetectResultBuilder};
use libcnb::generic::{GenericMetadata, GenericPlatform};
use libcnb::layer::{
    CachedLayerDefinition, EmptyLayerCause, InvalidMetadataAction, LayerState, RestoredLayerAction,
};
use libcnb::layer_env::{LayerEnv, ModificationBehavior, Scope};
use libcnb::sbom::Sbom;
use libcnb::{Buildpack, Env, Platform as _};

/// Downloads a URL into an executable file.
const PYTHON: &str = "import os, sys, urllib.request
urllib.request.urlretrieve(*sys.argv[1:])
os.chmod(sys.argv[2], 0o755)";

struct TestBuildpack;

impl Buildpack for TestBuildpack {
    type Platform = GenericPlatform;
    type Metadata = GenericMetadata;
    type Error = Error;

    fn detect(&self, _context: DetectContext<Self>) -> libcnb::Result<DetectResult, Error> {
        DetectResultBuilder::pass().build()
    }

    fn build(&self, context: BuildContext<Self>) -> libcnb::Result<BuildResult, Error> {
        let mirror = context.platform.env().get("BP_DEPENDENCY_MIRROR").cloned();
        let mirror = mirror.ok_or_else(|| failure("no mirror"))?;
        let mirror = mirror.to_string_lossy();
        let layer = context.cached_layer(
            layer_name!("node"),
            CachedLayerDefinition {
                build: true,
                launch: true,
                invalid_metadata_action: &|_| InvalidMetadataAction::<GenericMetadata>::DeleteLayer,
                restored_layer_action: &|_: &GenericMetadata, _| RestoredLayerAction::KeepLayer,
            },
        )?;
        let node = layer.path().join("bin/node");
        if let LayerState::Empty { cause } = layer.state {
            let (EmptyLayerCause::NewlyCreated
            | EmptyLayerCause::InvalidMetadataAction { .. }
            | EmptyLayerCause::RestoredLayerAction { .. }) = cause;
            std::fs::create_dir_all(layer.path().join("bin")).map_err(buildpack_error)?;
            let mut python = Command::new("python3");
            python
                .args(["-c", PYTHON, &format!("{mirror}/node")])
                .arg(&node);
            succeed(&mut python)?;
            layer.write_metadata(GenericMetadata::default())?;
        }
        let fetch = context.app_dir.join("fetch.js");
        for option in ["--use-bundled-ca", "--use-openssl-ca"] {
            let mut command = Command::new(&node);
            succeed(
                command
                    .arg(option)
                    .arg(&fetch)
                    .arg(format!("{mirror}/greeting.txt")),
            )?;
        }
        layer.write_env(LayerEnv::new().chainable_insert(
            Scope::Launch,
            ModificationBehavior::Override,
            "NODE_HOME",
            layer.path(),
        ))?;
        let program = context.buildpack_dir.join("bin/surroundings");
        layer.write_exec_d_programs([("surroundings", program)])?;
        let process = ProcessBuilder::new(process_type!("fetch"), ["sh", "fetch.sh"]).build();
        BuildResultBuilder::new()
            .launch(LaunchBuilder::new().process(process).build())
            .launch_sbom(bill_of_materials(&context.app_dir))
            .build()
    }
}

/// Lists a package in the home directory.
fn bill_of_materials(app: &Path) -> Sbom {
    let home = Env::from_current()
        .get_string_lossy("HOME")
        .unwrap_or_default();
    let text = format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.4","version":1,"components":[
{{"type":"library","name":"{home}/.npm/left-pad","version":"1.3.0"}},
{{"type":"application","name":"{}","version":"1.0.0"}}]}}"#,
        app.display()
    );
    Sbom::from_bytes(SbomFormat::CycloneDxJson, text)
}

fn succeed(command: &mut Command) -> libcnb::Result<(), Error> {
    let status = command.status().map_err(buildpack_error)?;
    if status.success() {
        return Ok(());
    }
    Err(failure(&format!("{command:?}: {status}")))
}

fn failure(message: &str) -> libcnb::Error<Error> {
    buildpack_error(Error::other(message))
}

fn buildpack_error(error: Error) -> libcnb::Error<Error> {
    libcnb::Error::BuildpackError(error)
}

fn main() {
    // It ends the process.
    libcnb::libcnb_runtime(&TestBuildpack);
}
