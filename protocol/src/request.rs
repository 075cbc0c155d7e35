//! The requests of the host.
//!
//! New variants come last in their enum, because the number of a variant is the
//! wire format. The [crate's table](crate#one-request) lists the inputs, events
//! and reply of each request.

use bincode::{Decode, Encode};

use crate::BuildVariable;

/// The first message of every stream.
///
/// Texts that name an image are as the user wrote them, except where a field
/// says otherwise; the agent parses them. One that is not valid ends the
/// request with [`FailureKind::Invalid`](crate::FailureKind::Invalid), an image
/// that the store does not have with
/// [`FailureKind::NotFound`](crate::FailureKind::NotFound).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Asks for the agent's own state.
    AgentStatus,
    /// Builds an image: receives the source, runs the five lifecycle phases,
    /// and puts the image into the store.
    ///
    /// The host sends the listing of all source trees first
    /// ([`Input::SourceEntries`](crate::Input::SourceEntries), ended by
    /// [`Input::SourceListed`](crate::Input::SourceListed)). The agent then
    /// asks for contents ([`Event::SourceWanted`](crate::Event::SourceWanted)).
    /// A failed phase is
    /// [`FailureKind::Lifecycle`](crate::FailureKind::Lifecycle).
    Build(BuildRequest),
    /// Starts a process of a stored image, and ends with it.
    Run(RunRequest),
    /// Starts a development shell over the builder and the layers of the
    /// project's last build, and ends with it. Without a build it fails with
    /// [`FailureKind::NotBuilt`](crate::FailureKind::NotBuilt).
    Shell(ShellRequest),
    /// Lists the stored images: one [`Event::Image`](crate::Event::Image) for
    /// each reference.
    ImageList,
    /// Sends the manifest and the configuration of a stored image, each as
    /// [`Event::Document`](crate::Event::Document).
    ImageInspect {
        /// Reference or digest.
        image: String,
    },
    /// Gives a stored image one more name.
    ImageTag {
        /// Reference or digest of a stored image.
        image: String,
        /// The new reference, without a digest.
        name: String,
    },
    /// Removes references, and the blobs and layers that no image then needs.
    /// While something is built or runs, these stay for a later sweep.
    ImageRemove {
        /// References or digests.
        images: Vec<String>,
    },
    /// Sends the files of an OCI layout or of a Docker archive, each as
    /// [`Event::File`](crate::Event::File) and its bytes.
    ImageExport {
        /// Reference or digest of a stored image.
        image: String,
        /// The kind of export.
        format: ExportFormat,
        /// How to fetch layers that the store lacks.
        access: RegistryAccess,
    },
    /// Fetches an image, and extracts its layers.
    Pull {
        /// Reference of the image.
        image: String,
        /// When to ask the registry again.
        policy: PullPolicy,
        /// How to reach registries.
        access: RegistryAccess,
    },
    /// Uploads a stored image: only those blobs that the registry lacks.
    Push {
        /// Reference or digest of a stored image.
        image: String,
        /// The reference to push to.
        target: String,
        /// How to reach registries.
        access: RegistryAccess,
    },
    /// Checks the machine: one [`Event::Check`](crate::Event::Check) for each
    /// probe.
    Doctor,
    /// Asks for the state of the machine. The agent replies at once, whatever
    /// else it does.
    MachineStatus,
    /// Sets the machine's clock. Fails unless locald made the machine.
    SetClock {
        /// Nanoseconds since the epoch.
        nanos: u64,
    },
    /// Connects to a TCP port of the machine's loopback address, IPv4 or IPv6.
    ///
    /// After [`Event::Started`](crate::Event::Started), the data of
    /// [`Channel::Bulk`](crate::Channel::Bulk) is the connection's, in both
    /// directions. Either side may close its half of the connection first: the
    /// host with [`Input::EndOfData`](crate::Input::EndOfData), the agent with
    /// [`Event::EndOfData`](crate::Event::EndOfData). The request ends when
    /// both have. If the port does not accept the connection, the request fails
    /// with [`FailureKind::NotFound`](crate::FailureKind::NotFound).
    Forward {
        /// The port.
        port: u16,
    },
    /// Returns unused blocks of the store's file system to the machine's disk.
    /// Fails unless locald made the machine.
    MachineTrim,
    /// Stops the agent. It accepts no more work, and ends when the running
    /// requests have ended. If locald made the machine, the machine is switched
    /// off. If the host closes the stream before that, the agent goes on.
    MachineStop {
        /// What happens to running requests.
        running: Running,
    },
    /// Removes everything that the agent keeps, or everything except images.
    /// Fails with [`FailureKind::Store`](crate::FailureKind::Store) while
    /// something uses the store.
    MachineClear {
        /// Keep images and their layers.
        keep_images: bool,
    },
    /// Asks how many bytes the store takes, in three sums. Unlike
    /// [`StoreUsage`](Self::StoreUsage), it names no images and projects.
    MachineUsage,
    /// Starts a program of the machine itself, outside of any container, and
    /// ends with it. Fails unless locald made the machine.
    Console {
        /// Command and arguments. Empty means a shell.
        command: Vec<String>,
        /// How the process is attached.
        stdio: Stdio,
    },
    /// Asks which images and projects take how much of the store.
    StoreUsage,
    /// Compares everything in the store with its digest. Each fault is an
    /// [`Event::Fault`](crate::Event::Fault). Waits until nothing else uses the
    /// store.
    StoreVerify {
        /// How to fetch damaged content again. If absent, nothing is repaired.
        repair: Option<RegistryAccess>,
    },
    /// Removes items that are not needed. Reports each as an
    /// [`Event::Pruned`](crate::Event::Pruned). Waits until nothing else uses
    /// the store, except for a dry run.
    StorePrune(PruneRequest),
    /// Keeps the agent's copy of a project's folder in step with the host's:
    /// see [`folder`](crate::folder). Lasts until the host sends
    /// [`FolderInput::End`](crate::folder::FolderInput::End).
    Folder {
        /// The project.
        project: Project,
    },
}

/// What to remove from the store. Blobs and layers that no image needs are
/// always removed; images that the user built, tagged or pulled never are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct PruneRequest {
    /// Only report what would be removed.
    pub dry_run: bool,
    /// Also remove what was fetched or cached for builds, and was not used for
    /// this many seconds.
    pub unused_seconds: Option<u64>,
    /// Also remove what was fetched or cached for builds, the longest unused
    /// first, until the store takes at most this many bytes.
    pub keep_bytes: Option<u64>,
}

/// What happens to running requests when an agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Running {
    /// They finish first.
    Finish,
    /// They fail with
    /// [`FailureKind::Cancelled`](crate::FailureKind::Cancelled).
    Interrupt,
}

/// Everything that decides what a build does, except the source itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BuildRequest {
    /// The project, whose caches the build uses.
    pub project: Project,
    /// References of the image: at least one, all in one registry. The first is
    /// its main name.
    pub names: Vec<String>,
    /// Reference of the builder.
    pub builder: String,
    /// Reference of a run image, to replace the builder's.
    pub run_image: Option<String>,
    /// Replaces the builder's order by one group of these, in this order. If
    /// empty, the builder's order counts.
    pub buildpacks: Vec<Buildpack>,
    /// These come before all others in each group, in this order.
    pub pre_buildpacks: Vec<Buildpack>,
    /// These come after all others in each group, in this order.
    pub post_buildpacks: Vec<Buildpack>,
    /// Variables for buildpacks (CNB platform specification, "User-Provided
    /// Variables").
    pub env: Vec<BuildVariable>,
    /// Empty the project's caches first.
    pub clear_cache: bool,
    /// Network of the build phase.
    pub network: BuildNetwork,
    /// Upload the image under all its names.
    pub publish: bool,
    /// `SOURCE_DATE_EPOCH`, in seconds since the epoch. If absent, the image
    /// has the lifecycle's fixed date.
    pub creation_time: Option<u64>,
    /// Process type that the image starts by default (`CNB_PROCESS_TYPE`).
    pub default_process: Option<String>,
    /// When to ask the registry for newer builder and run images.
    pub pull: PullPolicy,
    /// How to reach registries.
    pub access: RegistryAccess,
    /// How much the lifecycle logs.
    pub verbosity: Verbosity,
    /// Build even if nothing has changed.
    pub force: bool,
    /// Whether locald's own buildpacks take part.
    pub embedded: EmbeddedBuildpacks,
    /// Where the application's files come from.
    pub origin: SourceOrigin,
}

impl BuildRequest {
    /// Returns all buildpacks of the request: those that come first, those of
    /// the group, those that come last.
    pub fn named_buildpacks(&self) -> impl Iterator<Item = &Buildpack> {
        let first = self.pre_buildpacks.iter().chain(&self.buildpacks);
        first.chain(&self.post_buildpacks)
    }
}

/// The identity of a project. The agent finds its caches and its lock by it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Project {
    /// 64 hexadecimal digits: SHA-256 of a random number of the host's and of
    /// the folder's path. So two hosts never share a project.
    pub id: String,
    /// The folder's path on the host, for messages only.
    pub path: String,
}

/// One member of a group of buildpacks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Buildpack {
    /// `ID` or `ID@VERSION` of a buildpack in the builder.
    Named(String),
    /// A source tree of this request that holds a buildpack's directory, by its
    /// number.
    Tree(u16),
    /// Reference of an image whose layers hold the buildpack.
    Image(String),
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EnvVar {
    /// Its name, without `=` and NUL.
    pub name: String,
    /// Its value, without NUL.
    pub value: String,
}

/// Whether the agent's own buildpacks take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum EmbeddedBuildpacks {
    /// They do not.
    LeftOut,
    /// They are tried after all groups of the builder's order.
    Last,
}

/// Where the application's files come from. The mode of `/workspace` in the
/// image depends on it, as with pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum SourceOrigin {
    /// A folder: mode `0o777`.
    Folder,
    /// An archive: mode `0o755`, which the builder's directory has.
    Archive,
}

/// The network of the build phase. No other phase has one, except for the
/// connection of analyze, restore and export to the agent's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum BuildNetwork {
    /// The machine's own.
    Host,
    /// A loopback device only.
    None,
    /// A separate one. It reaches what the machine reaches, except what listens
    /// on the machine.
    Private,
}

/// When the agent asks the registry whether a reference has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum PullPolicy {
    /// At each use.
    Always,
    /// If the last answer is older than a day.
    Daily,
    /// Only if the store lacks the image.
    IfNotPresent,
    /// Never: an image that the store lacks is an error.
    Never,
}

/// How much the lifecycle logs (`-log-level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Verbosity {
    /// `info`
    Normal,
    /// `debug`
    Debug,
}

/// How to reach registries. Credentials are not part of it: the agent asks for
/// each ([`Event::CredentialWanted`](crate::Event::CredentialWanted)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct RegistryAccess {
    /// Settings of registries, for those that have any.
    pub registries: Vec<RegistrySettings>,
    /// The host's proxies: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`.
    pub proxies: Vec<EnvVar>,
    /// PEM certificates to trust in addition to the machine's own.
    pub extra_ca: Option<String>,
}

/// One `[registries."NAME"]` table.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RegistrySettings {
    /// Host and port, as in a reference (`docker.io`, `ghcr.io:443`).
    pub name: String,
    /// Base URL of a server to use instead of the registry. Its scheme decides
    /// on TLS.
    pub mirror: Option<String>,
    /// Use plain HTTP.
    pub insecure: bool,
    /// PEM certificates to trust for this registry, in addition.
    pub ca: Option<String>,
}

impl RegistrySettings {
    /// Returns host and port of the mirror. The mirror's account has this name.
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
    /// Process type. If absent, the image's default.
    pub process: Option<String>,
    /// Arguments to append to the process, or a command if `direct`.
    pub args: Vec<String>,
    /// Run `args` as a command in the launch environment (`launcher -- …`).
    pub direct: bool,
    /// Variables to set in addition to the image's.
    pub env: Vec<EnvVar>,
    /// How the process is attached.
    pub stdio: Stdio,
    /// How to fetch layers that the store lacks, and the proxies for
    /// [`ProcessProxies::Machine`].
    pub access: RegistryAccess,
    /// Variables that describe the host's terminal (such as `TERM`), for those
    /// that the image does not set.
    pub terminal: Vec<EnvVar>,
    /// Whether the process gets the machine's proxies and authorities.
    pub proxies: ProcessProxies,
}

/// Whether a process gets the proxies of its request, and trusts the
/// certificate authorities that the machine trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ProcessProxies {
    /// No: it has what its image has.
    Image,
    /// Yes, as buildpacks do in a build.
    Machine,
}

/// A development shell.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ShellRequest {
    /// The project, whose last build the shell uses.
    pub project: Project,
    /// The project's folder in the agent's file system, to mount at
    /// `/workspace`. Empty means the agent's copy: see [`Request::Folder`].
    pub folder: String,
    /// Command and arguments. Empty means `bash` if the builder has it, else
    /// `sh`.
    pub command: Vec<String>,
    /// Variables to set in addition to the build environment.
    pub env: Vec<EnvVar>,
    /// How the process is attached.
    pub stdio: Stdio,
    /// How to fetch layers of the builder that the store lacks. The shell gets
    /// its proxies.
    pub access: RegistryAccess,
    /// Variables that describe the host's terminal (such as `TERM`), for those
    /// that the builder does not set.
    pub terminal: Vec<EnvVar>,
}

/// How a container's process is attached to the request's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Stdio {
    /// By three pipes.
    Pipes,
    /// By a pseudo-terminal of this size. All output is on
    /// [`Channel::Stdout`](crate::Channel::Stdout).
    Terminal {
        /// Height in cells.
        rows: u16,
        /// Width in cells.
        columns: u16,
    },
}

/// The kind of an export: which files it consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ExportFormat {
    /// `oci-layout`, `index.json` and `blobs/sha256/…` (OCI image
    /// specification, "Image Layout").
    OciLayout,
    /// `manifest.json`, the configuration and uncompressed layers, as `docker
    /// load` reads them.
    DockerArchive,
}
