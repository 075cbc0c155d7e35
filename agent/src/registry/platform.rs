//! Names the platform of an image, and decides whether this machine can run it.

use serde::Deserialize;

use crate::store::or_default;

/// The platform of an image, as an index describes it. A missing member is
/// empty, as in Go's parsers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Platform {
    #[serde(deserialize_with = "or_default")]
    os: String,
    #[serde(deserialize_with = "or_default")]
    architecture: String,
    #[serde(deserialize_with = "or_default")]
    variant: String,
}

impl Platform {
    pub(super) fn new(os: &str, architecture: &str) -> Self {
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: String::new(),
        }
    }

    /// The processor level for which an image of this platform is built; absent
    /// if this machine cannot run it.
    pub(super) fn suits_here(&self) -> Option<u8> {
        if self.os != "linux" || self.architecture != architecture() {
            return None;
        }
        let level = level(&self.architecture, &self.variant)?;
        (level <= processor()).then_some(level)
    }

    /// The platform as text, such as `linux/amd64`. Absent if it is empty, or
    /// if it is not a machine, as in the attestations of image builders.
    pub(super) fn name(&self) -> Option<String> {
        let parts = [&self.os, &self.architecture, &self.variant];
        let parts: Vec<_> = parts.into_iter().filter(|it| !it.is_empty()).collect();
        let name = parts.into_iter().cloned().collect::<Vec<_>>().join("/");
        (!name.is_empty() && self.os != "unknown").then_some(name)
    }
}

/// This machine's architecture, as Go and the image specification name it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The processor level in a variant. An empty variant means the lowest level.
fn level(architecture: &str, variant: &str) -> Option<u8> {
    match (architecture, variant) {
        ("amd64", "") => Some(1),
        ("arm64", "") => Some(8),
        ("arm", "") => Some(7),
        (_, "") => Some(0),
        (_, variant) => variant.strip_prefix('v')?.parse().ok(),
    }
}

/// The highest level that this processor supports.
#[cfg(target_arch = "x86_64")]
fn processor() -> u8 {
    use std::arch::is_x86_feature_detected as has;
    let v2 = has!("cmpxchg16b")
        && has!("popcnt")
        && has!("sse3")
        && has!("sse4.1")
        && has!("sse4.2")
        && has!("ssse3");
    let v3 = v2
        && has!("avx")
        && has!("avx2")
        && has!("bmi1")
        && has!("bmi2")
        && has!("f16c")
        && has!("fma")
        && has!("lzcnt")
        && has!("movbe");
    let v4 = v3
        && has!("avx512f")
        && has!("avx512bw")
        && has!("avx512cd")
        && has!("avx512dq")
        && has!("avx512vl");
    1 + u8::from(v2) + u8::from(v3) + u8::from(v4)
}

/// The level that every processor of the architecture supports.
#[cfg(not(target_arch = "x86_64"))]
fn processor() -> u8 {
    level(architecture(), "").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_have_levels() {
        for (architecture, variant, expected) in [
            ("amd64", "", Some(1)),
            ("amd64", "v1", Some(1)),
            ("amd64", "v4", Some(4)),
            ("arm64", "", Some(8)),
            ("arm64", "v8", Some(8)),
            ("arm64", "v9", Some(9)),
            ("arm64", "v8.2", None),
            ("arm", "v6", Some(6)),
            ("arm", "", Some(7)),
            ("amd64", "x", None),
        ] {
            assert_eq!(
                level(architecture, variant),
                expected,
                "{architecture}/{variant}"
            );
        }
        let mut platform = Platform::new("linux", architecture());
        assert!(platform.suits_here().is_some());
        platform.variant = "v200".to_owned();
        assert_eq!(platform.suits_here(), None);
    }
}
