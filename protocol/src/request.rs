//! What the host asks of the agent.
//!
//! Enums only grow at their end: the variant number is the wire format.

use bincode::{Decode, Encode};

use crate::BuildVariable;

/// The first message on every stream.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Answered with [`Reply::Status`](crate::Reply::Status).
    AgentStatus,
    /// Source upload, five lifecycle phases, image in the store.
    Build(BuildRequest),
    /// Start a process of a stored image.
    Run(RunRequest),
    /// A development shell over the builder and the last build's layers.
    Shell(ShellRequest),
    /// One [`Event::Image`](crate::Event::Image) per stored image.
    ImageList,
    /// The manifest and the configuration as
    /// [`Event::Document`](crate::Event::Document)s.
    ImageInspect {
        /// Reference or digest, as the user wrote it.
        image: String,
    },
    /// Give a stored image one more name.
    ImageTag {
        /// Reference or digest of a stored image.
        image: String,
        /// The new reference.
        name: String,
    },
    /// Remove references; blobs that nothing needs any more go with them.
    ImageRemove {
        /// References or digests.
        images: Vec<String>,
    },
    /// The files of an OCI layout or of a docker archive, each as
    /// [`Event::File`](crate::Event::File) and its bytes.
    ImageExport {
        /// Reference or digest of a stored image.
        image: String,
        /// Which files make up the export.
        format: ExportFormat,
        /// Layers that the store lacks are fetched.
        access: RegistryAccess,
    },
    /// Fetch an image and extract its layers.
    Pull {
        /// The image to fetch.
        image: String,
        /// When to ask the registry again.
        policy: PullPolicy,
        /// How to reach registries.
        access: RegistryAccess,
    },
    /// Upload a stored image, only what the registry lacks.
    Push {
        /// Reference or digest of a stored image.
        image: String,
        /// The reference to push to.
        target: String,
        /// How to reach registries.
        access: RegistryAccess,
    },
    /// One [`Event::Check`](crate::Event::Check) per probe of the machine.
    Doctor,
    /// Answered with [`Reply::Machine`](crate::Reply::Machine), at once.
    MachineStatus,
    /// Set the machine's clock; only where the machine is the agent's own.
    SetClock {
        /// Nanoseconds since the epoch.
        nanos: u64,
    },
    /// Connect to a TCP port of the machine's loopback address. After
    /// [`Event::Started`](crate::Event::Started) the data of
    /// [`Channel::Bulk`](crate::Channel::Bulk) are the connection's, both
    /// ways. Either side may close its half of the connection first: the host
    /// with [`Input::EndOfData`](crate::Input::EndOfData), the agent with
    /// [`Event::EndOfData`](crate::Event::EndOfData).
    Forward {
        /// Which port.
        port: u16,
    },
    /// Give the machine's disk back what the store does not use; answered
    /// with [`Reply::Trimmed`](crate::Reply::Trimmed).
    MachineTrim,
    /// Accept no more work, wait for what runs, and end: a machine that is
    /// the agent's own is switched off.
    MachineStop {
        /// What becomes of running requests.
        running: Running,
    },
    /// Remove everything that the agent keeps, but images when asked so;
    /// refused while something runs.
    MachineClear {
        /// Images and their layers stay.
        keep_images: bool,
    },
    /// What the store takes, answered with
    /// [`Reply::Usage`](crate::Reply::Usage).
    MachineUsage,
    /// A program of the machine itself, outside of any container; only where
    /// the machine is the agent's own.
    Console {
        /// Command and arguments; empty means a shell.
        command: Vec<String>,
        /// How the process is attached.
        stdio: Stdio,
    },
    /// What takes the store's space; answered with
    /// [`Reply::StoreUsage`](crate::Reply::StoreUsage).
    StoreUsage,
    /// Whether the store is what it says it is: each fault is an
    /// [`Event::Fault`](crate::Event::Fault).
    StoreVerify {
        /// How what is damaged is fetched again; without it, nothing changes.
        repair: Option<RegistryAccess>,
    },
    /// Remove what is not needed: each item is an
    /// [`Event::Pruned`](crate::Event::Pruned).
    StorePrune(PruneRequest),
    /// Keep the agent's copy of a project's folder in step with the host's,
    /// see [`folder`](crate::folder).
    Folder {
        /// Whose.
        project: Project,
    },
}

/// What is to be removed from the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct PruneRequest {
    /// Only tell.
    pub dry_run: bool,
    /// Also what was fetched or cached for builds, and has not been used for
    /// this many seconds.
    pub unused_seconds: Option<u64>,
    /// Also the longest unused of that, until the store takes no more than
    /// this many bytes.
    pub keep_bytes: Option<u64>,
}

/// What becomes of running requests when an agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Running {
    /// They finish first.
    Finish,
    /// They are interrupted.
    Interrupt,
}

/// Everything that decides what a build does, but the source itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BuildRequest {
    /// Whose caches are used.
    pub project: Project,
    /// Image references to give the result; the first is its name.
    pub names: Vec<String>,
    /// Builder image reference.
    pub builder: String,
    /// Overrides the builder's run image.
    pub run_image: Option<String>,
    /// Replaces the builder's order by one group of these, in this order.
    pub buildpacks: Vec<Buildpack>,
    /// Come before all others in each group, in this order.
    pub pre_buildpacks: Vec<Buildpack>,
    /// Come after all others in each group, in this order.
    pub post_buildpacks: Vec<Buildpack>,
    /// User-provided build environment (`/platform/env`).
    pub env: Vec<BuildVariable>,
    /// Forget the project's caches first.
    pub clear_cache: bool,
    /// Network of the build phase.
    pub network: BuildNetwork,
    /// Upload to the registry under every name afterwards.
    pub publish: bool,
    /// Seconds since the epoch for `SOURCE_DATE_EPOCH`; absent means the
    /// lifecycle's fixed date.
    pub creation_time: Option<u64>,
    /// Default process type (`CNB_PROCESS_TYPE`).
    pub default_process: Option<String>,
    /// When to ask the registry for newer builder and run images.
    pub pull: PullPolicy,
    /// How to reach registries.
    pub access: RegistryAccess,
    /// How much the lifecycle says.
    pub verbosity: Verbosity,
    /// Run even when nothing changed.
    pub force: bool,
    /// What becomes of locald's own buildpacks.
    pub embedded: EmbeddedBuildpacks,
}

impl BuildRequest {
    /// All buildpacks that it names: those that come first, those of the group,
    /// those that come last.
    pub fn named_buildpacks(&self) -> impl Iterator<Item = &Buildpack> {
        let first = self.pre_buildpacks.iter().chain(&self.buildpacks);
        first.chain(&self.post_buildpacks)
    }
}

/// The identity of a project: its caches and its lock are found by it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Project {
    /// 64 hexadecimal digits: SHA-256 over the host's identity of the folder.
    pub id: String,
    /// The folder as the user knows it, for messages only.
    pub path: String,
}

/// One member of a group of buildpacks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Buildpack {
    /// `id` or `id@version` in the builder.
    Named(String),
    /// Source tree number of this request that holds a buildpack directory.
    Tree(u16),
    /// An image whose layers hold the buildpack.
    Image(String),
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EnvVar {
    /// Without `=` and NUL.
    pub name: String,
    /// Without NUL.
    pub value: String,
}

/// Buildpacks that the agent brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum EmbeddedBuildpacks {
    /// Not used.
    LeftOut,
    /// Tried after all groups of the builder's order.
    Last,
}

/// The network of the build phase; the others have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum BuildNetwork {
    /// The machine's own.
    Host,
    /// A loopback device only.
    None,
    /// One of its own that reaches what the machine reaches, but nothing that
    /// listens on the machine.
    Private,
}

/// When a registry is asked whether a reference has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum PullPolicy {
    /// At each use.
    Always,
    /// When the last answer is older than a day.
    Daily,
    /// Only when the store lacks the image.
    IfNotPresent,
    /// Never: an image that the store lacks is an error.
    Never,
}

/// How much of the lifecycle's own output is asked for (`-log-level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Verbosity {
    /// `info`
    Normal,
    /// `debug`
    Debug,
}

/// What the agent must know to reach registries; credentials are asked for
/// one by one, see [`Event::CredentialWanted`](crate::Event::CredentialWanted).
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct RegistryAccess {
    /// Settings of the registries that have any.
    pub registries: Vec<RegistrySettings>,
    /// Proxies by the usual variable names, as the host's environment has
    /// them: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`.
    pub proxies: Vec<EnvVar>,
    /// PEM certificates to trust besides the machine's own.
    pub extra_ca: Option<String>,
}

/// One `[registries."NAME"]` table.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RegistrySettings {
    /// Host and port, as in an image reference (`docker.io`, `ghcr.io:443`).
    pub name: String,
    /// Base URL asked instead of the registry; its scheme decides on TLS.
    pub mirror: Option<String>,
    /// Speak plain HTTP.
    pub insecure: bool,
    /// PEM certificates to trust for this registry.
    pub ca: Option<String>,
}

impl RegistrySettings {
    /// Host and port of the mirror: under this name it has an account.
    pub fn mirror_name(&self) -> Option<&str> {
        let url = self.mirror.as_deref()?;
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.split('/').next()
    }
}

/// A process of an application image.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RunRequest {
    /// Reference or digest of a stored image.
    pub image: String,
    /// Process type; absent means the image's default.
    pub process: Option<String>,
    /// Arguments appended to the process, or a command when `direct`.
    pub args: Vec<String>,
    /// Run `args` as a command in the launch environment (`launcher -- …`).
    pub direct: bool,
    /// Added to the image's environment.
    pub env: Vec<EnvVar>,
    /// How the process is attached.
    pub stdio: Stdio,
    /// When the run image's layers must be fetched first.
    pub access: RegistryAccess,
    /// What the host's terminal is, where the image does not say: `TERM` and
    /// the like.
    pub terminal: Vec<EnvVar>,
    /// Whether it is told of proxies.
    pub proxies: ProcessProxies,
}

/// Whether a process is told of the proxies of its request, and trusts whom the
/// machine trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ProcessProxies {
    /// Its image alone decides.
    Image,
    /// As buildpacks in a build.
    Machine,
}

/// A development shell.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ShellRequest {
    /// The project, whose last build is used.
    pub project: Project,
    /// Where the agent finds the project's folder, to be mounted at the
    /// workspace; empty means its own copy, see [`Request::Folder`].
    pub folder: String,
    /// Command and arguments; empty means a login shell.
    pub command: Vec<String>,
    /// Added to the environment.
    pub env: Vec<EnvVar>,
    /// How the process is attached.
    pub stdio: Stdio,
    /// How the builder's layers are fetched when they are not there; the shell
    /// is told of its proxies.
    pub access: RegistryAccess,
    /// What the host's terminal is, where the builder does not say: `TERM` and
    /// the like.
    pub terminal: Vec<EnvVar>,
}

/// How a container's process is attached to the request's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Stdio {
    /// Three pipes.
    Pipes,
    /// A pseudo terminal of this size; standard error goes to output.
    Terminal {
        /// Height in cells.
        rows: u16,
        /// Width in cells.
        columns: u16,
    },
}

/// Which files an export consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ExportFormat {
    /// `oci-layout`, `index.json` and `blobs/sha256/…` (OCI image layout).
    OciLayout,
    /// `manifest.json`, the configuration and uncompressed layers, as
    /// `docker load` reads them.
    DockerArchive,
}
