//! What the agent sends while it works, and how it ends.

use bincode::{Decode, Encode};

use crate::failure::Failure;
use crate::folder::FolderEvent;
use crate::source::Tree;

/// A message of the agent within a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// The last message of a request.
    Outcome(Outcome),
    /// A registry is about to be asked: answer with
    /// [`Input::Credential`](crate::Input::Credential).
    CredentialWanted {
        /// Host and port, and the repository there: `quay.io/me/app`.
        repository: String,
    },
    /// Contents of these files are wanted, in this order.
    SourceWanted {
        /// Which tree.
        tree: Tree,
        /// Indices in that tree's listing.
        indices: Vec<u32>,
    },
    /// No more files will be wanted.
    SourceComplete {
        /// Files of all trees.
        files: u64,
        /// Bytes that travelled.
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
        /// Which.
        phase: Phase,
        /// Milliseconds of wall time.
        millis: u64,
    },
    /// The request waits for something else to end.
    Waiting {
        /// What for, as a clause: "another build of this project".
        reason: String,
    },
    /// Something the user should know; the request goes on.
    Warning {
        /// What.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// One stored image.
    Image(ImageSummary),
    /// A document follows as data on [`Channel::Bulk`](crate::Channel::Bulk).
    Document {
        /// `manifest` or `config`, or another name a caller knows.
        name: String,
        /// Bytes that follow.
        size: u64,
    },
    /// A file of an export follows as data on
    /// [`Channel::Bulk`](crate::Channel::Bulk).
    File {
        /// Relative path.
        path: String,
        /// Bytes that follow.
        size: u64,
    },
    /// The container's process runs.
    Started,
    /// One probe of `doctor`.
    Check(Check),
    /// The container listens on a TCP port.
    PortOpened {
        /// Which.
        port: u16,
    },
    /// It does so no more.
    PortClosed {
        /// Which.
        port: u16,
    },
    /// Something is wrong with the store.
    Fault(StoreFault),
    /// Something was, or would be, removed.
    Pruned(PrunedItem),
    /// About a folder that is kept in step.
    Folder(FolderEvent),
    /// The agent sends no more data on a forwarded connection
    /// ([`Request::Forward`](crate::Request::Forward)); the host still may.
    EndOfData,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// As asked.
    Done(Reply),
    /// Not.
    Failed(Failure),
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// Nothing to say.
    Nothing,
    /// Answers [`Request::AgentStatus`](crate::Request::AgentStatus).
    Status(Status),
    /// Answers [`Request::Build`](crate::Request::Build).
    Built(Built),
    /// A container's process ended: its exit code, or 128 + signal.
    Exited {
        /// 0–255.
        code: u8,
    },
    /// Answers a pull or push: the digest in play.
    Digest(String),
    /// What an image removal removed and freed.
    Removed {
        /// References that are gone.
        names: Vec<String>,
        /// Bytes freed.
        freed: u64,
    },
    /// Answers [`Request::MachineStatus`](crate::Request::MachineStatus).
    Machine(MachineStatus),
    /// What a trim gave back.
    Trimmed {
        /// Bytes.
        bytes: u64,
    },
    /// Answers [`Request::MachineUsage`](crate::Request::MachineUsage).
    Usage(Usage),
    /// Answers [`Request::StoreUsage`](crate::Request::StoreUsage).
    StoreUsage(Box<StoreUsage>),
    /// Answers [`Request::StoreVerify`](crate::Request::StoreVerify).
    Verified(Verified),
    /// Answers [`Request::StorePrune`](crate::Request::StorePrune): bytes that
    /// were, or would be, freed.
    PrunedBytes(u64),
}

/// The state of the machine that the agent runs on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MachineStatus {
    /// Version of the agent's package.
    pub version: String,
    /// Release of the kernel.
    pub kernel: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Milliseconds since the machine started.
    pub uptime_millis: u64,
    /// Processors that are online.
    pub processors: u32,
    /// Load of the last minute, in hundredths.
    pub load: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of memory that programs can still get.
    pub memory_available: u64,
    /// Bytes of the file system that holds the store.
    pub disk: u64,
    /// Bytes of it that are free.
    pub disk_free: u64,
    /// Nanoseconds since the epoch, by the machine's clock.
    pub clock: u64,
    /// Requests that would be interrupted by a stop, by their names.
    pub running: Vec<String>,
}

/// Bytes that the store takes.
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
    /// Bytes that the store takes.
    pub store_bytes: u64,
    /// Where the store is.
    pub store_path: String,
}

/// The image that a build made, or found unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Built {
    /// Manifest digest.
    pub digest: String,
    /// All names that it has got.
    pub names: Vec<String>,
    /// Bytes of its compressed layers.
    pub size: u64,
    /// Nothing had changed; no container was started.
    pub up_to_date: bool,
    /// Where it was published.
    pub published: Vec<String>,
    /// The buildpacks that it is made by, in their order: `ID VERSION`.
    pub buildpacks: Vec<String>,
}

/// The five phases of a build, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Phase {
    /// Reads the previous and the run image.
    Analyze,
    /// Chooses the buildpacks.
    Detect,
    /// Restores cached layers.
    Restore,
    /// Runs the buildpacks.
    Build,
    /// Makes the image.
    Export,
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
        /// Layers of the image.
        layers: u32,
        /// Layers that must be fetched.
        missing: u32,
        /// Bytes that must be fetched.
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
        /// After this pause.
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
    /// What the registry lacks is known.
    Planned {
        /// The target.
        image: String,
        /// Blobs in all.
        blobs: u32,
        /// Blobs that must travel.
        missing: u32,
        /// Bytes that must travel.
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

/// One reference of the store.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ImageSummary {
    /// The familiar form of the reference.
    pub name: String,
    /// Manifest digest.
    pub digest: String,
    /// Bytes of its compressed layers and configuration.
    pub size: u64,
    /// Seconds since the epoch when the reference was last set.
    pub updated: u64,
    /// What the image is here.
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

/// One probe of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Check {
    /// What was probed: "user namespaces".
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// A command that mends it.
    pub remedy: Option<String>,
}

impl Check {
    /// All is well.
    pub fn good(name: &str, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            verdict: Verdict::Good,
            detail: detail.into(),
            remedy: None,
        }
    }

    /// It does not work.
    pub fn bad(name: &str, detail: impl Into<String>, remedy: Option<String>) -> Self {
        Self {
            verdict: Verdict::Bad,
            remedy,
            ..Self::good(name, detail)
        }
    }
}

/// How a probe went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Verdict {
    /// As needed.
    Good,
    /// Works, but less well.
    Degraded,
    /// locald cannot work.
    Bad,
}

/// What takes the store's space, in bytes of its file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct StoreUsage {
    /// Where the store is.
    pub path: String,
    /// Everything.
    pub total: u64,
    /// What the file system has left.
    pub free: u64,
    /// By name.
    pub images: Vec<ImageUsage>,
    /// The last used first.
    pub projects: Vec<ProjectUsage>,
    /// Blobs and layers that no image needs.
    pub unreferenced: u64,
    /// Work in progress, and what killed processes have left.
    pub temporary: u64,
}

/// What a stored image takes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ImageUsage {
    /// The familiar form of the reference.
    pub name: String,
    /// What the image is here.
    pub role: ImageRole,
    /// Bytes of all that the image needs and the store has.
    pub bytes: u64,
    /// Bytes of that which no other image needs.
    pub own: u64,
}

/// What is kept for a project.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ProjectUsage {
    /// The folder, as it was when it was last built; empty when it never was.
    pub folder: String,
    /// Bytes of the source, as it was last built.
    pub source: u64,
    /// Bytes of caches and of the layers of the last build.
    pub caches: u64,
    /// Seconds since the epoch.
    pub used: u64,
}

/// Something is wrong with the store.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StoreFault {
    /// Which blob, layer or image.
    pub what: String,
    /// What is wrong, as a clause.
    pub reason: String,
    /// Images that need it.
    pub images: Vec<String>,
    /// What was done, if something was.
    pub repair: Option<Repair>,
}

/// How a fault was mended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Repair {
    /// It was fetched again.
    Fetched,
    /// It was removed; nothing needed it.
    Removed,
    /// It cannot be had again: the images that need it were given up.
    Lost {
        /// Why it could not be fetched.
        reason: String,
    },
    /// It was made again of what was there.
    Restored,
    /// It cannot be had again, but its files are whole: the images that need it
    /// run, and cannot be exported or pushed.
    RunsOnly,
    /// Nothing was done: it can only be mended when the images that need it are
    /// given up.
    Refused {
        /// Why it could not be had again.
        reason: String,
    },
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Verified {
    /// References.
    pub images: u64,
    /// Blobs, all of which were read.
    pub blobs: u64,
    /// Extracted layers.
    pub layers: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Faults that remain.
    pub faults: u64,
}

/// Something that is not needed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PrunedItem {
    /// What kind of thing.
    pub kind: PrunedKind,
    /// Which; empty for things without a name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Seconds since the epoch when it was last used; zero when nobody knows.
    pub used: u64,
}

/// Kinds of things that are not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum PrunedKind {
    /// Blobs and layers that no image needs.
    Unreferenced,
    /// An image that was fetched for builds.
    Image,
    /// Source and caches of a project.
    Project,
}
