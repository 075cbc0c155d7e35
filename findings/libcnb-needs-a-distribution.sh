#!/usr/bin/env bash
# A buildpack made with libcnb.rs cannot detect on a base that does not say its distribution.
#
# The crate libcnb 0.30.4: detect ends with 1 when CNB_TARGET_DISTRO_NAME and CNB_TARGET_DISTRO_VERSION are not set, before
# the buildpack's own code runs. The Buildpack API makes both optional: a base image need not name a distribution, and
# then the lifecycle does not set them. With both set, empty or not, the same buildpack detects.
set -euo pipefail
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tools.sh"

mkdir -p pack/src
cat >pack/Cargo.toml <<'TOML'
[package]
name = "pack"
version = "0.0.0"
edition = "2024"

[dependencies]
libcnb = "=0.30.4"
TOML
cat >pack/src/main.rs <<'RUST'
use libcnb::build::{BuildContext, BuildResult, BuildResultBuilder};
use libcnb::detect::{DetectContext, DetectResult, DetectResultBuilder};
use libcnb::generic::{GenericError, GenericMetadata, GenericPlatform};
use libcnb::{Buildpack, buildpack_main};

struct Pass;

impl Buildpack for Pass {
    type Platform = GenericPlatform;
    type Metadata = GenericMetadata;
    type Error = GenericError;

    fn detect(&self, _: DetectContext<Self>) -> libcnb::Result<DetectResult, Self::Error> {
        println!("the buildpack's own detect runs");
        DetectResultBuilder::pass().build()
    }

    fn build(&self, _: BuildContext<Self>) -> libcnb::Result<BuildResult, Self::Error> {
        BuildResultBuilder::new().build()
    }
}

buildpack_main!(Pass);
RUST
(cd pack && cargo build --quiet)
mkdir -p buildpack/bin platform/env app
printf 'api = "0.10"\n[buildpack]\nid = "test/pass"\nversion = "0.0.1"\n' >buildpack/buildpack.toml
cp pack/target/debug/pack buildpack/bin/detect
detect() { # VARIABLES
    (cd app && env CNB_BUILDPACK_DIR="$temporary/buildpack" CNB_TARGET_OS=linux CNB_TARGET_ARCH=amd64 "$@" \
        "$temporary/buildpack/bin/detect" "$temporary/platform" "$temporary/plan.toml" 2>&1)
}
status=0
output=$(detect) || status=$?
printf 'without a distribution: exit code %s\n%s\n' "$status" "$output"
[ "$status" != 0 ]
expect "$output" CannotDetermineTargetDistroName
output=$(detect CNB_TARGET_DISTRO_NAME=debian CNB_TARGET_DISTRO_VERSION=12)
printf 'with one: exit code 0\n%s\n' "$output"
expect "$output" "the buildpack's own detect runs"
