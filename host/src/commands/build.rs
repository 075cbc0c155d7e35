//! Runs `locald build`: reads the settings, lists the source, requests the
//! build, and follows it.

mod trees;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use protocol::event::Built;
use protocol::request::{BuildRequest, SourceOrigin, Verbosity};
use protocol::{Event, Failure, FailureKind, Request};

use super::{Start, announce, block_on, confirm, unexpected};
use crate::cli::BuildOptions;
use crate::connection::request_stream::Incoming;
use crate::connection::session::Session;
use crate::exit_code;
use crate::output::{Answer, Detail, Printer};
use crate::platform::home::Home;
use crate::platform::signals::{self, Signals};
use crate::project::Project;
use crate::settings::{BuildSettings, BuilderOrigin, ImageName, MachineKind, Remembered, Settings};
use crate::sync::source::{ProjectKind, SourceError, SourceTree, Uploader};
use trees::Buildpacks;

/// The end of a build that did not fail.
pub(super) enum BuildEnd {
    /// The build made an image, or found it up to date.
    Built(Built),
    /// A signal stopped the build. This is the exit code for the signal.
    Stopped(u8),
}

/// A build request with its source trees.
#[derive(Clone)]
pub(super) struct PreparedBuild {
    request: BuildRequest,
    uploader: Arc<Uploader>,
    folder: PathBuf,
    renamed_from: Option<String>,
    descriptor: PathBuf,
    unknown_keys: Vec<String>,
    builder_origin: BuilderOrigin,
    remembered: Remembered,
}

pub(super) fn run(
    options: &BuildOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let project = Project::find_source(options.project.path())?;
    announce(&project, printer);
    let descriptor = options.descriptor.as_deref();
    let start = Start::of_build(&project, descriptor, machine, printer)?;
    let mut options = options.clone();
    if project.is_whole_home() && !options.yes && std::io::stdin().is_terminal() {
        let text = SourceError::Home(project.folder.clone()).to_string();
        printer.warning(&text, None);
        confirm()?;
        options.yes = true;
    }
    let prepared = PreparedBuild::new(&project, &start.home, &start.settings, &options, printer)?;
    let builder = prepared.builder();
    let end = block_on(async {
        let session = start.setup.connect(printer).await?;
        build(prepared, &session, printer).await
    })?;
    Ok(match end {
        BuildEnd::Built(built) => {
            let elapsed = printer.elapsed();
            printer.answer(&Answer::Built {
                built,
                builder,
                elapsed,
            });
            exit_code::SUCCESS
        }
        BuildEnd::Stopped(code) => code,
    })
}

impl PreparedBuild {
    /// Resolves the settings, lists the source, and prints the notes and
    /// warnings.
    pub(super) fn new(
        project: &Project,
        home: &Home,
        settings: &Settings,
        options: &BuildOptions,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        let prepared = Self::prepare(project, home, settings, options, printer.detail())?;
        prepared.announce(home, printer);
        Ok(prepared)
    }

    /// Like [`new`](Self::new), without notes and warnings.
    pub(super) fn prepare(
        project: &Project,
        home: &Home,
        settings: &Settings,
        options: &BuildOptions,
        detail: Detail,
    ) -> Result<Self, Failure> {
        if project.is_whole_home() && !options.yes {
            return Err(SourceError::Home(project.folder.clone()).into());
        }
        let identity = project.identity(home)?;
        let remembered = Remembered::of(home, &identity.id);
        let settings = settings.clone().with(&remembered);
        let folder = project.named_after();
        let build = settings.build(&folder, &options.overrides())?;
        let renamed_from = build.renamed_from.clone();
        let application = trees::application(project, &build, settings.boundary(), home)?;
        let (trees, buildpacks) = trees::with_buildpacks(application, &build)?;
        let builder_origin = build.builder_origin;
        let unknown_keys = build.unknown_keys.clone();
        let descriptor = build.descriptor.clone();
        let request = BuildRequest {
            origin: match project.archive {
                None => SourceOrigin::Folder,
                Some(_) => SourceOrigin::Archive,
            },
            ..request(build, options, identity, buildpacks, detail)
        };
        let uploader = Arc::new(Uploader::new(trees));
        Ok(Self {
            request,
            uploader,
            folder,
            renamed_from,
            descriptor,
            unknown_keys,
            builder_origin,
            remembered,
        })
    }

    /// Prints notes and warnings about the settings and the source, and opens
    /// the log.
    pub(super) fn announce(&self, home: &Home, printer: &mut Printer) {
        if let Some(text) = &self.renamed_from {
            let name = self.name();
            printer.note(&format!(
                "{text:?} is not a valid image name: the image is called {name}"
            ));
        }
        self.log(home, printer);
        for key in &self.unknown_keys {
            let file = self.descriptor.file_name().unwrap_or_default();
            let file = file.display();
            let text = format!("{file}: the key `{key}` is unknown, and is left out");
            printer.warning(&text, None);
        }
        let skipped = self.uploader.trees().first().map(|tree| &tree.skipped[..]);
        if let Some([first, rest @ ..]) = skipped {
            let others = match rest.len() {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            let text = format!("{first}{others} left out: neither files, folders nor links");
            let hint = "a .dockerignore that names them keeps this quiet";
            let is_folder = self.trees().first().is_some_and(SourceTree::is_folder);
            printer.warning(&text, is_folder.then_some(hint));
        }
        if let Some(file) = self.unread() {
            let text = format!("{file} in the archive is not read");
            let hint = "`--descriptor FILE` names a project.toml beside it";
            printer.warning(&text, Some(hint));
        }
    }

    /// Returns the settings file that an archive contains. locald reads such a
    /// file in folders only.
    fn unread(&self) -> Option<&'static str> {
        let tree = self.trees().first().filter(|tree| !tree.is_folder())?;
        let mut paths = tree.entries.iter().map(|entry| &entry.path[..]);
        paths.find_map(|path| match path {
            b"project.toml" => Some("project.toml"),
            b"locald.toml" => Some("locald.toml"),
            _ => None,
        })
    }

    /// Writes the output of the build to its log file, too.
    pub(super) fn log(&self, home: &Home, printer: &mut Printer) {
        let folder = self.folder.file_name().unwrap_or_default();
        let name = ImageName::from_text(&folder.to_string_lossy());
        let log = format!("{}-{}.log", name.as_str(), &self.request.project.id[..8]);
        printer.log_to(home.logs.join(log));
    }

    /// Returns the image's first name.
    pub(super) fn name(&self) -> &str {
        self.request.names.first().map_or("", String::as_str)
    }

    /// Returns the builder and the source of that setting. Returns `None` if
    /// the project or the command line names the builder.
    fn builder(&self) -> Option<String> {
        let explained = self.builder_origin.explained()?;
        Some(format!("{}, {explained}", self.request.builder))
    }

    /// Stores the builder of the command line for later commands. Does so only
    /// after a result that shows that the image is a builder.
    fn remember(&self, ended: Result<(), FailureKind>) {
        let is_builder = matches!(ended, Ok(()) | Err(FailureKind::Lifecycle { .. }));
        if is_builder && self.builder_origin == BuilderOrigin::Flag {
            self.remembered.set_builder(&self.request.builder);
        }
    }

    /// Adds to a failure: the source of the builder setting, and the kind of
    /// project that the source looks like.
    fn explain(&self, mut failure: Failure) -> Failure {
        let builder = &self.request.builder;
        match failure.kind {
            FailureKind::Lifecycle { code: 20 | 21 } => {
                let kind = self
                    .trees()
                    .first()
                    .and_then(|tree| ProjectKind::of(&tree.entries));
                let looks = match &kind {
                    Some(kind) => format!("it looks like {kind}"),
                    None => "none of its files says what kind of project it is".to_owned(),
                };
                failure
                    .causes
                    .push(format!("the builder is {builder}; {looks}"));
                if let Some(folder) = kind.as_ref().and_then(ProjectKind::folder) {
                    let is_folder = self.trees().first().is_some_and(SourceTree::is_folder);
                    let unpack = if is_folder {
                        ""
                    } else {
                        "unpack the archive; "
                    };
                    let hint = format!("{unpack}to build that folder: `locald build {folder}`");
                    failure.hint = Some(hint);
                }
            }
            FailureKind::Registry | FailureKind::NotFound | FailureKind::Unauthorized
                if failure.message.contains(builder.as_str()) =>
            {
                if let Some(explained) = self.builder_origin.explained() {
                    let hint = format!(
                        "{builder} is {explained}; `-B IMAGE` names another builder, as does `builder` under [build] in locald.toml or config.toml"
                    );
                    failure.hint = Some(match failure.hint {
                        Some(known) => format!("{known}; {hint}"),
                        None => hint,
                    });
                }
            }
            _ => {}
        }
        failure
    }

    /// Returns the paths that differ from an earlier listing, or a phrase if
    /// only the settings differ.
    pub(super) fn changes(&self, before: &Self) -> Vec<String> {
        let (trees, old) = (self.trees(), before.trees());
        let pairs = trees.iter().zip(old);
        let mut changes: Vec<_> = pairs.flat_map(|(new, old)| new.changes(old)).collect();
        if changes.is_empty() && self.request != before.request {
            changes.push("the project's settings".to_owned());
        }
        changes
    }

    /// Returns the source trees, the application's first.
    pub(super) fn trees(&self) -> &[SourceTree] {
        self.uploader.trees()
    }
}

/// Requests a build and follows it until it ends or a signal arrives.
pub(super) async fn build(
    prepared: PreparedBuild,
    session: &Session,
    printer: &mut Printer,
) -> Result<BuildEnd, Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::from_error(FailureKind::Machine, &error))?;
    tokio::select! {
        built = follow(prepared, session, printer) => Ok(BuildEnd::Built(built?)),
        code = signals::end(&mut signals) => {
            printer.stopped();
            Ok(BuildEnd::Stopped(code))
        }
    }
}

/// Requests a build and follows it until it ends.
pub(super) async fn follow(
    prepared: PreparedBuild,
    session: &Session,
    printer: &mut Printer,
) -> Result<Built, Failure> {
    let built = converse(&prepared, session, printer).await;
    prepared.remember(built.as_ref().map(drop).map_err(|failure| failure.kind));
    built.map_err(|failure| prepared.explain(failure))
}

async fn converse(
    prepared: &PreparedBuild,
    session: &Session,
    printer: &mut Printer,
) -> Result<Built, Failure> {
    let mut request = prepared.request.clone();
    request.access = session.access.clone();
    let request = Request::Build(request);
    let mut stream = session.request(&request, printer).await?;
    let sender = stream.sender();
    prepared.uploader.list(&sender).await;
    loop {
        match stream.next().await? {
            Incoming::Data(channel, bytes) => stream.printer.output(channel, &bytes),
            Incoming::Event(Event::SourceWanted { tree, indices }) => {
                prepared.uploader.send(&sender, tree, indices).await;
            }
            Incoming::Reply(protocol::Reply::Built(built)) => return Ok(built),
            Incoming::Reply(reply) => return Err(unexpected(&reply)),
            Incoming::Event(_) => {}
        }
    }
}

fn request(
    build: BuildSettings,
    options: &BuildOptions,
    project: protocol::request::Project,
    buildpacks: Buildpacks,
    detail: Detail,
) -> BuildRequest {
    BuildRequest {
        project,
        names: build.names,
        builder: build.builder,
        run_image: build.run_image,
        buildpacks: buildpacks.group,
        pre_buildpacks: buildpacks.pre,
        post_buildpacks: buildpacks.post,
        env: build.env,
        clear_cache: options.clear_cache,
        network: build.network.into(),
        publish: options.publish,
        creation_time: options.creation_time.map(crate::cli::CreationTime::seconds),
        default_process: build.default_process,
        pull: build.pull.into(),
        access: protocol::request::RegistryAccess::default(),
        verbosity: match detail {
            Detail::Verbose => Verbosity::Debug,
            Detail::Normal | Detail::Quiet => Verbosity::Normal,
        },
        force: options.force,
        embedded: build.embedded,
        origin: SourceOrigin::Folder,
    }
}
