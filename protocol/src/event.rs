//! What the agent sends for a request, and the request's outcome. The [crate's
//! table](crate#one-request) lists the events and the reply of each request.

use bincode::{Decode, Encode};

use crate::failure::Failure;
use crate::folder::FolderEvent;
use crate::source::Tree;

/// A message of the agent within a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// The last message of a request.
    Outcome(Outcome),
    /// A registry demands an account. The host answers with
    /// [`Input::Credential`](crate::Input::Credential).
    CredentialWanted {
        /// Host, port if any, and the repository there: `quay.io/me/app`.
        repository: String,
    },
    /// The host is to send the contents of these files, in this order.
    SourceWanted {
        /// The tree.
        tree: Tree,
        /// Indices in that tree's listing.
        indices: Vec<u32>,
    },
    /// The agent has all contents.
    SourceComplete {
        /// Number of regular files in all trees.
        files: u64,
        /// Bytes of contents that the host sent.
        received: u64,
    },
    /// Progress of an image's download.
    Pull(PullEvent),
    /// Progress of an upload.
    Push(PushEvent),
    /// A lifecycle phase starts.
    PhaseStarted(Phase),
    /// A lifecycle phase ended well.
    PhaseEnded {
        /// The phase.
        phase: Phase,
        /// How long it took, in milliseconds of wall time.
        millis: u64,
    },
    /// The request waits for something else to end.
    Waiting {
        /// What it waits for, as a noun phrase: "another build of this
        /// project".
        reason: String,
    },
    /// A message for the user. The request continues.
    Warning {
        /// The message, in the form of [`Failure::message`].
        message: String,
        /// What to do about it, or what locald does instead.
        hint: Option<String>,
    },
    /// One stored image.
    Image(ImageSummary),
    /// A document. Exactly `size` bytes follow on
    /// [`Channel::Bulk`](crate::Channel::Bulk).
    Document {
        /// `manifest` or `config`.
        name: String,
        /// Size in bytes.
        size: u64,
    },
    /// A file of an export. Exactly `size` bytes follow on
    /// [`Channel::Bulk`](crate::Channel::Bulk).
    File {
        /// Its path in the export, relative and `/`-separated.
        path: String,
        /// Size in bytes.
        size: u64,
    },
    /// The process runs, or the forwarded connection is there.
    Started,
    /// The result of one probe of [`Request::Doctor`](crate::Request::Doctor).
    Check(Check),
    /// The process, or a descendant of it, listens on a TCP port.
    PortOpened {
        /// The port.
        port: u16,
    },
    /// No process of it listens on the port any more.
    PortClosed {
        /// The port.
        port: u16,
    },
    /// A fault of the store.
    Fault(StoreFault),
    /// An item that was removed, or would be in a dry run.
    Pruned(PrunedItem),
    /// A message of [`Request::Folder`](crate::Request::Folder).
    Folder(FolderEvent),
    /// The agent sends no more data on a forwarded connection
    /// ([`Request::Forward`](crate::Request::Forward)). The host still may.
    EndOfData,
}

/// How a request has ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// It succeeded.
    Done(Reply),
    /// It failed.
    Failed(Failure),
}

/// The result of a request that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// There is no result.
    Nothing,
    /// Answers [`Request::AgentStatus`](crate::Request::AgentStatus).
    Status(Status),
    /// Answers [`Request::Build`](crate::Request::Build).
    Built(Built),
    /// The process has ended.
    Exited {
        /// Its exit code, or 128 plus the number of the signal that ended it.
        code: u8,
    },
    /// The digest of the manifest, as `sha256:…`.
    Digest(String),
    /// Answers [`Request::ImageRemove`](crate::Request::ImageRemove).
    Removed {
        /// The removed references, in their short form.
        names: Vec<String>,
        /// Freed bytes.
        freed: u64,
    },
    /// Answers [`Request::MachineStatus`](crate::Request::MachineStatus).
    Machine(MachineStatus),
    /// Answers [`Request::MachineTrim`](crate::Request::MachineTrim).
    Trimmed {
        /// Bytes that the file system has given back.
        bytes: u64,
    },
    /// Answers [`Request::MachineUsage`](crate::Request::MachineUsage).
    Usage(Usage),
    /// Answers [`Request::StoreUsage`](crate::Request::StoreUsage).
    StoreUsage(Box<StoreUsage>),
    /// Answers [`Request::StoreVerify`](crate::Request::StoreVerify).
    Verified(Verified),
    /// Answers [`Request::StorePrune`](crate::Request::StorePrune): bytes that
    /// were freed, or would be in a dry run.
    PrunedBytes(u64),
}

/// The state of the machine that the agent runs on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MachineStatus {
    /// Version of the agent's package.
    pub version: String,
    /// Release of the kernel, as `uname -r` prints it.
    pub kernel: String,
    /// Architecture, as `uname -m` prints it: `x86_64`, `aarch64`.
    pub architecture: String,
    /// Milliseconds since the machine started.
    pub uptime_millis: u64,
    /// Processors that are online.
    pub processors: u32,
    /// Average load of the last minute, in hundredths.
    pub load: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of memory that programs can still get (`MemAvailable`).
    pub memory_available: u64,
    /// Size of the file system that holds the store, in bytes.
    pub disk: u64,
    /// Bytes of it that are free.
    pub disk_free: u64,
    /// The machine's clock, in nanoseconds since the epoch.
    pub clock: u64,
    /// Names of the requests that a stop would interrupt: "a build of /app".
    pub running: Vec<String>,
}

/// Bytes that the parts of the store take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Usage {
    /// Blobs of images.
    pub blobs: u64,
    /// Extracted layers.
    pub layers: u64,
    /// Sources, caches and last builds of projects.
    pub projects: u64,
}

/// The agent's own state.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// Version of the agent's package.
    pub version: String,
    /// Milliseconds since the agent started.
    pub uptime_millis: u64,
    /// Bytes that the store takes in its file system.
    pub store_bytes: u64,
    /// The store's directory.
    pub store_path: String,
}

/// The image of a build.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Built {
    /// Digest of the manifest.
    pub digest: String,
    /// The references that the build gave it.
    pub names: Vec<String>,
    /// Bytes of its compressed layers and configuration.
    pub size: u64,
    /// Whether nothing had changed since the last build, so that no phase ran.
    pub up_to_date: bool,
    /// The references under which it was uploaded.
    pub published: Vec<String>,
    /// The buildpacks that built it, in their order: `ID VERSION`.
    pub buildpacks: Vec<String>,
}

/// The five phases of a build, in their order (CNB platform specification).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Phase {
    /// Reads the previous image and the run image.
    Analyze,
    /// Chooses the buildpacks.
    Detect,
    /// Restores layers from the cache and the previous image.
    Restore,
    /// Runs the buildpacks.
    Build,
    /// Makes the image, and pushes it to the agent's registry.
    Export,
}

impl Phase {
    /// All phases, in their order.
    pub const ALL: [Self; 5] = [
        Self::Analyze,
        Self::Detect,
        Self::Restore,
        Self::Build,
        Self::Export,
    ];

    /// Returns the name of the phase in the CNB platform specification, such as
    /// `analyze`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Analyze => "analyze",
            Self::Detect => "detect",
            Self::Restore => "restore",
            Self::Build => "build",
            Self::Export => "export",
        }
    }
}

/// Progress of an image's download.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum PullEvent {
    /// The reference was resolved.
    Resolved {
        /// The image.
        image: String,
        /// Its manifest digest.
        digest: String,
        /// Number of the image's layers.
        layers: u32,
        /// Number of layers to fetch.
        missing: u32,
        /// Bytes to fetch.
        bytes: u64,
    },
    /// Bytes of a layer have arrived.
    Progress {
        /// The image.
        image: String,
        /// Digest of the layer's blob.
        layer: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A layer is verified and extracted.
    LayerDone {
        /// The image.
        image: String,
        /// Digest of the layer's blob.
        layer: String,
    },
    /// A request is tried again.
    Retry {
        /// The image.
        image: String,
        /// Why, as a clause.
        reason: String,
        /// The pause before the next attempt, in milliseconds.
        millis: u64,
    },
    /// The image is in the store.
    Done {
        /// The image.
        image: String,
        /// Its manifest digest.
        digest: String,
    },
}

/// Progress of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum PushEvent {
    /// The agent knows which blobs the registry lacks.
    Planned {
        /// The target.
        image: String,
        /// Number of the image's blobs.
        blobs: u32,
        /// Number of blobs to send.
        missing: u32,
        /// Bytes to send.
        bytes: u64,
    },
    /// Bytes have been sent.
    Progress {
        /// The target.
        image: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The image is in the registry.
    Done {
        /// The target.
        image: String,
        /// Its manifest digest.
        digest: String,
    },
}

/// A reference in the store, and its image.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ImageSummary {
    /// The short form of the reference: `app`, not
    /// `docker.io/library/app:latest`.
    pub name: String,
    /// Digest of the manifest.
    pub digest: String,
    /// Bytes of its compressed layers and configuration.
    pub size: u64,
    /// When the reference was last set, in seconds since the epoch.
    pub updated: u64,
    /// Why the image is in the store.
    pub role: ImageRole,
}

/// Why an image is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ImageRole {
    /// Built here.
    Application,
    /// Pulled as a builder.
    Builder,
    /// Pulled as a run image.
    RunImage,
    /// Pulled or tagged by hand.
    Other,
    /// Pulled as a buildpack.
    Buildpack,
}

/// The result of one probe of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Check {
    /// What was checked: "user namespaces".
    pub name: String,
    /// The result.
    pub verdict: Verdict,
    /// What the probe found.
    pub detail: String,
    /// A command that mends it.
    pub remedy: Option<String>,
}

impl Check {
    /// Makes a result without a problem.
    pub fn good(name: &str, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            verdict: Verdict::Good,
            detail: detail.into(),
            remedy: None,
        }
    }

    /// Makes a result with a problem that stops locald.
    pub fn bad(name: &str, detail: impl Into<String>, remedy: Option<String>) -> Self {
        Self {
            verdict: Verdict::Bad,
            remedy,
            ..Self::good(name, detail)
        }
    }
}

/// The result of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Verdict {
    /// It works.
    Good,
    /// It works less well, or something optional does not work.
    Degraded,
    /// It does not work, and locald needs it.
    Bad,
}

/// What takes the store's space. All sizes are bytes in its file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct StoreUsage {
    /// The store's directory.
    pub path: String,
    /// The whole store.
    pub total: u64,
    /// Bytes that the file system has left.
    pub free: u64,
    /// The images, one for each reference.
    pub images: Vec<ImageUsage>,
    /// The projects, the last used first.
    pub projects: Vec<ProjectUsage>,
    /// Blobs and layers that no image needs.
    pub unreferenced: u64,
    /// Work in progress, and files that killed processes have left.
    pub temporary: u64,
}

/// The space that a stored image takes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ImageUsage {
    /// The short form of the reference.
    pub name: String,
    /// Why the image is in the store.
    pub role: ImageRole,
    /// Bytes of everything in the store that the image needs.
    pub bytes: u64,
    /// Bytes of everything that only this image needs.
    pub own: u64,
}

/// The space that a project takes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ProjectUsage {
    /// The folder's path at the last build. Empty without a build.
    pub folder: String,
    /// Bytes of the agent's copy of the source.
    pub source: u64,
    /// Bytes of caches and of the layers of the last build.
    pub caches: u64,
    /// When it was last used, in seconds since the epoch.
    pub used: u64,
}

/// A fault of the store.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StoreFault {
    /// The damaged blob, layer or image.
    pub what: String,
    /// What is wrong, as a clause.
    pub reason: String,
    /// References of images that need it.
    pub images: Vec<String>,
    /// How it was repaired. Absent if nothing was done.
    pub repair: Option<Repair>,
}

/// How a fault was repaired.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Repair {
    /// It was fetched again.
    Fetched,
    /// It was removed, because nothing needed it.
    Removed,
    /// It cannot be fetched or made again. The images that need it were given
    /// up.
    Lost {
        /// Why it could not be fetched.
        reason: String,
    },
    /// It was made again from content in the store.
    Restored,
    /// It cannot be fetched again, but its extracted files are complete. The
    /// images that need it run, and cannot be exported or pushed.
    RunsOnly,
    /// Nothing was done. The only repair is to give up the images that need it.
    Refused {
        /// Why it could not be fetched or made again.
        reason: String,
    },
}

/// What a check of the store has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Verified {
    /// Number of references.
    pub images: u64,
    /// Number of blobs. All were read.
    pub blobs: u64,
    /// Number of extracted layers.
    pub layers: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Number of faults that remain.
    pub faults: u64,
}

/// An item of the store that is not needed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PrunedItem {
    /// The kind of item.
    pub kind: PrunedKind,
    /// Its name. Empty for an item without a name.
    pub name: String,
    /// Bytes that its removal frees.
    pub bytes: u64,
    /// When it was last used, in seconds since the epoch. Zero means unknown.
    pub used: u64,
}

/// The kinds of items that a prune removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum PrunedKind {
    /// Blobs and layers that no image needs.
    Unreferenced,
    /// An image that was fetched for builds.
    Image,
    /// The source and the caches of a project.
    Project,
}
