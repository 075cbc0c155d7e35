//! Makes the layer with which later buildpacks, and a shell in the project,
//! work as the build did: with its toolchain and packages, and in its Cargo
//! home and target directory. So each reuses what the other has compiled.

use std::ffi::OsString;

use libcnb::Env;
use libcnb::build::BuildContext;
use libcnb::data::layer_name;
use libcnb::layer::UncachedLayerDefinition;
use libcnb::layer_env::{LayerEnv, ModificationBehavior, Scope};

use crate::apt::Packages;
use crate::buildpack::RustBuildpack;
use crate::error::BuildError;
use crate::toolchain::Toolchain;

/// Variables of the user that affect the result of Cargo. Others may be
/// secrets, which no layer may contain.
const DECIDING: [&str; 4] = [
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_PROFILE_",
    "RUSTFLAGS",
];

/// Makes the layer. `places` are the variables with Cargo's directories.
pub(crate) fn layer(
    context: &BuildContext<RustBuildpack>,
    toolchain: &Toolchain,
    packages: &Packages,
    places: &[(OsString, OsString)],
) -> libcnb::Result<(), BuildError> {
    let definition = UncachedLayerDefinition {
        build: true,
        launch: false,
    };
    let layer = context.uncached_layer(layer_name!("development"), definition)?;
    layer.write_env(environment(
        toolchain,
        packages,
        places,
        &context.platform.env,
    ))
}

fn environment(
    toolchain: &Toolchain,
    packages: &Packages,
    places: &[(OsString, OsString)],
    user: &Env,
) -> LayerEnv {
    let mut env = LayerEnv::new();
    let mut set = |name: &OsString, value: &OsString| {
        env.insert(Scope::Build, ModificationBehavior::Override, name, value);
    };
    let deciding = |name: &OsString| {
        let name = name.to_string_lossy();
        DECIDING.iter().any(|start| name.starts_with(start))
    };
    user.iter()
        .filter(|(name, _)| deciding(name))
        .for_each(|(name, value)| set(name, value));
    places.iter().for_each(|(name, value)| set(name, value));
    for (name, mut paths) in packages.search_paths() {
        if name == "PATH" {
            paths.insert(0, toolchain.bin.clone());
        }
        if let Ok(joined) = std::env::join_paths(&paths)
            && !paths.is_empty()
        {
            env.insert(Scope::Build, ModificationBehavior::Delimiter, name, ":");
            env.insert(Scope::Build, ModificationBehavior::Prepend, name, joined);
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_what_decides_and_no_secret() {
        let toolchain = Toolchain {
            bin: "/cache/toolchains/stable/root/bin".into(),
            release: "1.95.0".to_owned(),
        };
        let mut user = Env::new();
        user.insert("CARGO_REGISTRIES_MINE_TOKEN", "secret");
        user.insert("DATABASE_URL", "secret");
        user.insert("RUSTFLAGS", "-Ctarget-cpu=native");
        let places = [("CARGO_HOME".into(), "/cache/cargo".into())];
        let layer = environment(&toolchain, &Packages::default(), &places, &user);
        let mut before = Env::new();
        before.insert("PATH", "/usr/bin");
        let after = layer.apply(Scope::Build, &before);
        let mut all: Vec<String> = after
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        all.sort();
        let expected = [
            "CARGO_HOME=/cache/cargo",
            "PATH=/cache/toolchains/stable/root/bin:/usr/bin",
            "RUSTFLAGS=-Ctarget-cpu=native",
        ];
        assert_eq!(all, expected);
    }
}
