//! Describes the container of each phase: mounts, user, environment, network.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use protocol::event::Phase;
use protocol::request::{EnvVar, Stdio};
use protocol::{Failure, FailureKind};

use super::Phases;
use crate::buildpack_build::lifecycle;
use crate::container::{Access, ContainerSpec, Mount, MountKind, Network, Upper, User};
use crate::process::ca_bundle;
use crate::process::environment::{self, Environment, HOME};

/// The certificate of the registry's authority, in the container.
const AUTHORITY: &str = "/platform/locald-registry.pem";
pub(super) const AUTHORITY_FILE: &str = "authority.pem";
/// An empty file of certificates. At each start the lifecycle parses all
/// certificates, for 10 ms, even if it needs none. The lifecycle does not pass
/// these variables to buildpacks.
const NO_CERTIFICATES: &str = "/dev/null";
/// A directory that no image may have, because the lifecycle would read it.
const NO_DIRECTORY: &str = "/nonexistent";

impl Phases<'_> {
    /// The specification of a phase's container.
    pub(super) fn spec(&self, phase: Phase) -> Result<ContainerSpec, Failure> {
        let options = self.options();
        let (upper, work) = self
            .directory
            .scratch(phase)
            .map_err(|error| Failure::from_error(FailureKind::Store, &error))?;
        Ok(ContainerSpec {
            lowers: self.lowers.clone(),
            upper: Upper::Directory { upper, work },
            directories: Vec::new(),
            mounts: self.mounts(phase),
            args: lifecycle::arguments(phase, &options),
            env: self.environment(phase, &options),
            cwd: lifecycle::LAYERS.into(),
            user: User {
                uid: self.images.builder.uid,
                gid: self.images.builder.gid,
                groups: Vec::new(),
            },
            hostname: "locald".to_owned(),
            network: self.network(phase),
            stdio: Stdio::Pipes,
            extra_hosts: self.extra_hosts(phase),
        })
    }

    fn options(&self) -> lifecycle::Options {
        let request = &self.resolved.request;
        lifecycle::Options {
            api: self.images.builder.api,
            image: self.resolved.name().to_string(),
            tags: self.resolved.tags(),
            run_image: self.images.run_name_as_written.clone(),
            clear_cache: request.clear_cache,
            process_type: request.default_process.clone(),
            creation_time: request.creation_time,
            verbosity: request.verbosity,
            uid: self.images.builder.uid,
            gid: self.images.builder.gid,
        }
    }

    fn mounts(&self, phase: Phase) -> Vec<Mount> {
        let directory = self.directory;
        let bind = |source: PathBuf, target: &str, access| Mount {
            target: target.into(),
            access,
            kind: MountKind::Bind { source },
        };
        let mut mounts = vec![
            bind(
                directory.path("layers"),
                lifecycle::LAYERS,
                Access::ReadWrite,
            ),
            bind(directory.path("tmp"), "/tmp", Access::ReadWrite),
        ];
        match phase {
            Phase::Detect | Phase::Build => {
                mounts.push(bind(
                    directory.path("platform"),
                    lifecycle::PLATFORM,
                    Access::ReadOnly,
                ));
            }
            Phase::Analyze => {}
            Phase::Restore | Phase::Export => {
                mounts.push(bind(directory.cache(), lifecycle::CACHE, Access::ReadWrite));
            }
        }
        if phase == Phase::Build {
            let cache = directory.build_cache();
            mounts.push(bind(cache, lifecycle::BUILD_CACHE, Access::ReadWrite));
        }
        if speaks_to_registry(phase) {
            let authority = directory.path(AUTHORITY_FILE);
            mounts.push(bind(authority, AUTHORITY, Access::ReadOnly));
        }
        for tree in self.buildpack_trees {
            mounts.push(Mount {
                target: tree.target.clone(),
                access: Access::ReadOnly,
                kind: MountKind::Bind {
                    source: tree.path.clone(),
                },
            });
        }
        if !matches!(phase, Phase::Analyze | Phase::Restore) {
            mounts.push(self.workspace());
        }
        mounts
    }

    /// The application's source, with the changes that earlier phases made.
    fn workspace(&self) -> Mount {
        Mount {
            target: lifecycle::WORKSPACE.into(),
            access: Access::ReadWrite,
            kind: MountKind::Overlay {
                lower: self.directory.source.clone(),
                upper: self.directory.path("workspace/upper"),
                work: self.directory.path("workspace/work"),
            },
        }
    }

    fn environment(&self, phase: Phase, options: &lifecycle::Options) -> Vec<(String, String)> {
        let mut env = Environment::from(self.images.builder.env.clone());
        env.set_default("PATH", environment::PATH);
        env.set_default(HOME, &self.home);
        env.extend(lifecycle::environment(phase, options));
        let certificates = if speaks_to_registry(phase) {
            AUTHORITY
        } else {
            NO_CERTIFICATES
        };
        env.set("SSL_CERT_FILE", certificates);
        env.set("SSL_CERT_DIR", NO_DIRECTORY);
        if phase == Phase::Build || phase == Phase::Detect {
            // The lifecycle passes only these variables to buildpacks.
            for EnvVar { name, value } in ca_bundle::proxies(&self.resolved.request.access) {
                env.set(&name, value);
            }
        }
        env.into_pairs()
    }

    /// The network of a phase. Only that of the build phase depends on the
    /// request.
    fn network(&self, phase: Phase) -> Network {
        match phase {
            Phase::Build => self.build_network.clone(),
            Phase::Detect => Network::None,
            _ => self.registry_network.clone(),
        }
    }

    fn extra_hosts(&self, phase: Phase) -> Vec<(String, IpAddr)> {
        if !speaks_to_registry(phase) {
            return Vec::new();
        }
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let foreign = self.names.foreign();
        foreign.map(|host| (host.clone(), here)).collect()
    }
}

/// Whether a phase uses the registry. No buildpack runs in these phases.
fn speaks_to_registry(phase: Phase) -> bool {
    matches!(phase, Phase::Analyze | Phase::Restore | Phase::Export)
}
