//! At least one message of each kind.

use protocol::event::{
    Built, Check, ImageRole, ImageSummary, ImageUsage, MachineStatus, Phase, ProjectUsage,
    PrunedItem, PrunedKind, PullEvent, PushEvent, Repair, Status, StoreFault, StoreUsage, Usage,
    Verdict, Verified,
};
use protocol::folder::{Answer, Change, FolderEvent, FolderInput};
use protocol::input::{Credential, Signal};
use protocol::request::{
    BuildNetwork, BuildRequest, Buildpack, EmbeddedBuildpacks, EnvVar, ExportFormat,
    ProcessProxies, Project, PruneRequest, PullPolicy, RegistryAccess, RegistrySettings,
    RunRequest, Running, ShellRequest, SourceOrigin, Stdio, Verbosity,
};
use protocol::source::{Entry, EntryKind, Tree};
use protocol::{BuildVariable, Event, Failure, FailureKind, Input, Outcome, Reply, Request};

fn text(text: &str) -> String {
    text.to_owned()
}

fn env() -> EnvVar {
    EnvVar {
        name: text("A"),
        value: text("b"),
    }
}

fn access() -> RegistryAccess {
    RegistryAccess {
        registries: vec![RegistrySettings {
            name: text("r"),
            mirror: Some(text("m")),
            insecure: true,
            ca: None,
        }],
        proxies: vec![env()],
        extra_ca: Some(text("c")),
    }
}

fn project() -> Project {
    Project {
        id: text("0a"),
        path: text("/p"),
    }
}

const TERMINAL: Stdio = Stdio::Terminal {
    rows: 24,
    columns: 80,
};

fn build() -> BuildRequest {
    BuildRequest {
        project: project(),
        names: vec![text("n")],
        builder: text("b"),
        run_image: Some(text("r")),
        buildpacks: vec![
            Buildpack::Named(text("x@1")),
            Buildpack::Tree(1),
            Buildpack::Image(text("i")),
        ],
        pre_buildpacks: vec![Buildpack::Tree(2)],
        post_buildpacks: vec![Buildpack::Named(text("y"))],
        env: vec![BuildVariable {
            name: "A".parse().unwrap(),
            value: text("b"),
        }],
        clear_cache: true,
        network: BuildNetwork::None,
        publish: false,
        creation_time: Some(1_700_000_000),
        default_process: None,
        pull: PullPolicy::Never,
        access: access(),
        verbosity: Verbosity::Debug,
        force: true,
        embedded: EmbeddedBuildpacks::Last,
        origin: SourceOrigin::Archive,
    }
}

fn run() -> RunRequest {
    RunRequest {
        image: text("i"),
        process: Some(text("web")),
        args: vec![text("a")],
        direct: false,
        env: vec![env()],
        stdio: Stdio::Pipes,
        access: RegistryAccess::default(),
        terminal: Vec::new(),
        proxies: ProcessProxies::Machine,
    }
}

fn shell() -> ShellRequest {
    ShellRequest {
        project: project(),
        folder: text("/p"),
        command: vec![text("sh")],
        env: Vec::new(),
        stdio: TERMINAL,
        access: access(),
        terminal: vec![env()],
    }
}

#[expect(clippy::too_many_lines, reason = "a plain table")]
pub(crate) fn requests() -> Vec<Request> {
    let image = || text("i");
    let all = vec![
        Request::AgentStatus,
        Request::Build(build()),
        Request::Run(run()),
        Request::Shell(shell()),
        Request::ImageList,
        Request::ImageInspect { image: image() },
        Request::ImageTag {
            image: image(),
            name: text("n"),
        },
        Request::ImageRemove {
            images: vec![image()],
        },
        Request::ImageExport {
            image: image(),
            format: ExportFormat::DockerArchive,
            access: RegistryAccess::default(),
        },
        Request::Pull {
            image: image(),
            policy: PullPolicy::Daily,
            access: RegistryAccess::default(),
        },
        Request::Push {
            image: image(),
            target: text("t"),
            access: RegistryAccess::default(),
        },
        Request::Doctor,
        Request::MachineStatus,
        Request::SetClock { nanos: 1 << 40 },
        Request::Forward { port: 8080 },
        Request::MachineTrim,
        Request::MachineStop {
            running: Running::Finish,
        },
        Request::MachineClear { keep_images: true },
        Request::MachineUsage,
        Request::Console {
            command: vec![text("sh")],
            stdio: TERMINAL,
        },
        Request::StoreUsage,
        Request::StoreVerify {
            repair: Some(access()),
        },
        Request::StorePrune(PruneRequest {
            dry_run: true,
            unused_seconds: Some(1),
            keep_bytes: None,
        }),
        Request::Folder { project: project() },
    ];
    // A new kind does not compile here until it has its place above.
    let place = |request: &Request| match request {
        Request::AgentStatus => 0,
        Request::Build(_) => 1,
        Request::Run(_) => 2,
        Request::Shell(_) => 3,
        Request::ImageList => 4,
        Request::ImageInspect { .. } => 5,
        Request::ImageTag { .. } => 6,
        Request::ImageRemove { .. } => 7,
        Request::ImageExport { .. } => 8,
        Request::Pull { .. } => 9,
        Request::Push { .. } => 10,
        Request::Doctor => 11,
        Request::MachineStatus => 12,
        Request::SetClock { .. } => 13,
        Request::Forward { .. } => 14,
        Request::MachineTrim => 15,
        Request::MachineStop { .. } => 16,
        Request::MachineClear { .. } => 17,
        Request::MachineUsage => 18,
        Request::Console { .. } => 19,
        Request::StoreUsage => 20,
        Request::StoreVerify { .. } => 21,
        Request::StorePrune(_) => 22,
        Request::Folder { .. } => 23,
    };
    assert!(all.iter().map(place).eq(0..24));
    all
}

#[expect(clippy::too_many_lines, reason = "a plain table")]
pub(crate) fn inputs() -> Vec<Input> {
    let entry = |path: &[u8], kind| Entry {
        path: path.to_vec(),
        kind,
    };
    let tree = Tree::APPLICATION;
    let credential = |credential| Input::Credential {
        repository: text("r"),
        credential,
    };
    let mut all = vec![
        credential(None),
        Input::SourceEntries {
            tree,
            entries: vec![
                entry(b"d", EntryKind::Directory { mode: 0o755 }),
                entry(
                    b"d/f",
                    EntryKind::File {
                        size: 300,
                        mode: 0o644,
                        modified: -1,
                        stamp: 1 << 40,
                    },
                ),
                entry(
                    b"l",
                    EntryKind::Symlink {
                        target: b"d/f".to_vec(),
                    },
                ),
            ],
        },
        Input::SourceListed,
        Input::SourceFile {
            tree: Tree(1),
            index: 7,
            size: 1 << 33,
        },
        Input::SourceLost {
            tree,
            index: 7,
            message: text("gone"),
        },
        Input::Resize {
            rows: 25,
            columns: 300,
        },
        Input::Signal(Signal::Interrupt),
        Input::StdinClosed,
        Input::WatchPorts,
        Input::Folder(FolderInput::Gone {
            paths: vec![b"p".to_vec()],
        }),
        Input::Stop,
        Input::EndOfData,
    ];
    let place = |input: &Input| match input {
        Input::Credential { .. } => 0,
        Input::SourceEntries { .. } => 1,
        Input::SourceListed => 2,
        Input::SourceFile { .. } => 3,
        Input::SourceLost { .. } => 4,
        Input::Resize { .. } => 5,
        Input::Signal(_) => 6,
        Input::StdinClosed => 7,
        Input::WatchPorts => 8,
        Input::Folder(_) => 9,
        Input::Stop => 10,
        Input::EndOfData => 11,
    };
    assert!(all.iter().map(place).eq(0..12));
    let answers = [
        Answer::Made(Some(file())),
        Answer::Stale,
        Answer::Refused { reason: text("r") },
    ];
    let answer = |answer| Input::Folder(FolderInput::Answer(answer));
    all.extend(answers.map(answer));
    all.push(Input::Folder(FolderInput::TakeOver));
    all.push(Input::Folder(FolderInput::Settle));
    all.push(Input::Folder(FolderInput::End));
    all.push(credential(Some(Credential::Basic {
        username: text("u"),
        password: text("p"),
    })));
    all.push(credential(Some(Credential::Identity { token: text("t") })));
    all.extend(
        [
            Signal::Terminate,
            Signal::Hangup,
            Signal::Quit,
            Signal::Kill,
            Signal::User1,
            Signal::User2,
        ]
        .map(Input::Signal),
    );
    all
}

fn replies() -> Vec<Reply> {
    vec![
        Reply::Nothing,
        Reply::Status(Status {
            version: text("1"),
            uptime_millis: 2,
            store_bytes: 3,
            store_path: text("/s"),
        }),
        Reply::Built(Built {
            digest: text("sha256:0"),
            names: vec![text("n")],
            size: 4,
            up_to_date: true,
            published: Vec::new(),
            buildpacks: vec![text("b 1")],
        }),
        Reply::Exited { code: 143 },
        Reply::Digest(text("sha256:0")),
        Reply::Removed {
            names: vec![text("n")],
            freed: 5,
        },
        Reply::Machine(MachineStatus {
            version: text("1"),
            kernel: text("6"),
            architecture: text("x"),
            uptime_millis: 2,
            processors: 3,
            load: 4,
            memory: 5,
            memory_available: 6,
            disk: 7,
            disk_free: 8,
            clock: 1 << 60,
            running: vec![text("build")],
        }),
        Reply::Trimmed { bytes: 9 },
        Reply::Usage(Usage {
            blobs: 1,
            layers: 2,
            projects: 3,
        }),
        Reply::StoreUsage(Box::new(store_usage())),
        Reply::Verified(Verified {
            images: 1,
            blobs: 2,
            layers: 3,
            bytes: 4,
            faults: 5,
        }),
        Reply::PrunedBytes(6),
    ]
}

fn store_usage() -> StoreUsage {
    StoreUsage {
        path: text("/s"),
        total: 1,
        free: 2,
        images: vec![ImageUsage {
            name: text("n"),
            role: ImageRole::Builder,
            bytes: 3,
            own: 4,
        }],
        projects: vec![ProjectUsage {
            folder: text("/p"),
            source: 5,
            caches: 6,
            used: 7,
        }],
        unreferenced: 8,
        temporary: 9,
    }
}

fn failures() -> Vec<Failure> {
    let kinds = [
        FailureKind::Internal,
        FailureKind::Invalid,
        FailureKind::NotFound,
        FailureKind::Unauthorized,
        FailureKind::Registry,
        FailureKind::Integrity,
        FailureKind::Platform,
        FailureKind::Builder,
        FailureKind::Lifecycle { code: 51 },
        FailureKind::Source,
        FailureKind::Store,
        FailureKind::DiskFull,
        FailureKind::Machine,
        FailureKind::Container,
        FailureKind::NotBuilt,
        FailureKind::Cancelled,
        FailureKind::Unsupported,
    ];
    let mut failures = kinds.map(|kind| Failure::new(kind, "m")).to_vec();
    failures[0].causes.push(text("c"));
    failures[0].hint = Some(text("h"));
    failures
}

fn pulls() -> Vec<PullEvent> {
    let (image, layer, digest) = (|| text("i"), || text("l"), || text("d"));
    vec![
        PullEvent::Resolved {
            image: image(),
            digest: digest(),
            layers: 1,
            missing: 2,
            bytes: 3,
        },
        PullEvent::Progress {
            image: image(),
            layer: layer(),
            done: 4,
            total: 5,
        },
        PullEvent::LayerDone {
            image: image(),
            layer: layer(),
        },
        PullEvent::Retry {
            image: image(),
            reason: text("r"),
            millis: 6,
        },
        PullEvent::Done {
            image: image(),
            digest: digest(),
        },
    ]
}

fn repairs() -> Vec<Repair> {
    vec![
        Repair::Fetched,
        Repair::Removed,
        Repair::Restored,
        Repair::RunsOnly,
        Repair::Refused { reason: text("r") },
    ]
}

fn pushes() -> Vec<PushEvent> {
    let image = || text("i");
    vec![
        PushEvent::Planned {
            image: image(),
            blobs: 1,
            missing: 2,
            bytes: 3,
        },
        PushEvent::Progress {
            image: image(),
            done: 4,
            total: 5,
        },
        PushEvent::Done {
            image: image(),
            digest: text("d"),
        },
    ]
}

fn file() -> EntryKind {
    EntryKind::File {
        size: 1,
        mode: 0o755,
        modified: 2,
        stamp: 3,
    }
}

fn folder_events() -> Vec<FolderEvent> {
    let path = || b"p".to_vec();
    vec![
        FolderEvent::Ready,
        FolderEvent::Changed,
        FolderEvent::Wanted {
            paths: vec![path()],
        },
        FolderEvent::Change(Change {
            path: path(),
            expected: None,
            wanted: Some(file()),
        }),
        FolderEvent::Torn,
        FolderEvent::Conflict {
            path: path(),
            kept: b"p.c".to_vec(),
        },
        FolderEvent::Settled { again: true },
    ]
}

/// A new kind does not compile here until it has its place below.
fn place(event: &Event) -> usize {
    match event {
        Event::Outcome(_) => 0,
        Event::CredentialWanted { .. } => 1,
        Event::SourceWanted { .. } => 2,
        Event::SourceComplete { .. } => 3,
        Event::Pull(_) => 4,
        Event::Push(_) => 5,
        Event::PhaseStarted(_) => 6,
        Event::PhaseEnded { .. } => 7,
        Event::Waiting { .. } => 8,
        Event::Warning { .. } => 9,
        Event::Image(_) => 10,
        Event::Document { .. } => 11,
        Event::File { .. } => 12,
        Event::Started => 13,
        Event::Check(_) => 14,
        Event::PortOpened { .. } => 15,
        Event::PortClosed { .. } => 16,
        Event::Fault(_) => 17,
        Event::Pruned(_) => 18,
        Event::Folder(_) => 19,
        Event::EndOfData => 20,
    }
}

#[expect(clippy::too_many_lines, reason = "a plain table")]
pub(crate) fn events() -> Vec<Event> {
    let mut all = vec![
        Event::Outcome(Outcome::Done(Reply::Nothing)),
        Event::CredentialWanted {
            repository: text("r"),
        },
        Event::SourceWanted {
            tree: Tree::APPLICATION,
            indices: vec![0, 300],
        },
        Event::SourceComplete {
            files: 1,
            received: 2,
        },
        Event::Pull(pulls().remove(0)),
        Event::Push(pushes().remove(0)),
        Event::PhaseStarted(Phase::Analyze),
        Event::PhaseEnded {
            phase: Phase::Export,
            millis: 1000,
        },
        Event::Waiting { reason: text("w") },
        Event::Warning {
            message: text("m"),
            hint: Some(text("h")),
        },
        Event::Image(ImageSummary {
            name: text("n"),
            digest: text("d"),
            size: 1,
            updated: 2,
            role: ImageRole::Application,
        }),
        Event::Document {
            name: text("config"),
            size: 3,
        },
        Event::File {
            path: text("oci-layout"),
            size: 4,
        },
        Event::Started,
        Event::Check(Check {
            name: text("n"),
            verdict: Verdict::Bad,
            detail: text("d"),
            remedy: Some(text("r")),
        }),
        Event::PortOpened { port: 8080 },
        Event::PortClosed { port: 8080 },
        Event::Fault(StoreFault {
            what: text("blob"),
            reason: text("r"),
            images: vec![text("n")],
            repair: Some(Repair::Lost { reason: text("l") }),
        }),
        Event::Pruned(PrunedItem {
            kind: PrunedKind::Image,
            name: text("n"),
            bytes: 1,
            used: 2,
        }),
        Event::Folder(FolderEvent::Shared),
        Event::EndOfData,
    ];
    assert!(all.iter().map(place).eq(0..21));
    all.extend(folder_events().into_iter().map(Event::Folder));
    all.extend(
        replies()
            .into_iter()
            .map(|reply| Event::Outcome(Outcome::Done(reply))),
    );
    all.extend(
        failures()
            .into_iter()
            .map(|it| Event::Outcome(Outcome::Failed(it))),
    );
    all.extend(pulls().into_iter().map(Event::Pull));
    all.extend(pushes().into_iter().map(Event::Push));
    all.extend(repairs().into_iter().map(|repair| {
        Event::Fault(StoreFault {
            what: text("blob"),
            reason: text("r"),
            images: Vec::new(),
            repair: Some(repair),
        })
    }));
    all.extend(
        [Phase::Detect, Phase::Restore, Phase::Build, Phase::Export].map(Event::PhaseStarted),
    );
    all
}
