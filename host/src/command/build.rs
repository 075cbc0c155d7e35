//! `locald build`.

use std::sync::Arc;

use protocol::event::Built;
use protocol::request::{BuildRequest, Buildpack, Verbosity};
use protocol::{Event, Failure, Request};

use super::{Start, block_on, unexpected};
use crate::cli::BuildOptions;
use crate::client::Client;
use crate::conversation::Heard;
use crate::exit_code;
use crate::home::Home;
use crate::machine::Kind;
use crate::printer::{Answer, Detail, Printer};
use crate::project::Project;
use crate::settings::{BuildSettings, BuildpackChoice, ImageName, Settings, SourceFilter};
use crate::signals::{self, Signals};
use crate::source::{self, Rules, SourceTree, Uploader};

/// How a build ended.
pub(super) enum End {
    /// With an image.
    Built(Built),
    /// By a signal, for which this is the exit code.
    Stopped(u8),
}

/// A build that is ready to be asked for.
pub(super) struct Plan {
    request: BuildRequest,
    uploader: Arc<Uploader>,
}

pub(super) fn run(
    options: &BuildOptions,
    machine: Option<&Kind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let project = Project::find(options.project.path.as_deref())?;
    let start = Start::at(&project.folder, machine, printer)?;
    let plan = Plan::new(&project, &start.home, &start.settings, options, printer)?;
    let end = block_on(async {
        let client = start.setup.connect(printer).await?;
        build(plan, &client, printer).await
    })?;
    Ok(match end {
        End::Built(built) => {
            let elapsed = printer.elapsed();
            printer.answer(&Answer::Built { built, elapsed });
            exit_code::SUCCESS
        }
        End::Stopped(code) => code,
    })
}

impl Plan {
    /// Decides what is built, and lists the source.
    pub(super) fn new(
        project: &Project,
        home: &Home,
        settings: &Settings,
        options: &BuildOptions,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        let build = settings.build(&project.folder, options)?;
        if let Some(text) = &build.renamed_from {
            let name = build.names.first().map_or("", String::as_str);
            printer.note(&format!(
                "{text:?} is no image name: the image is called {name}"
            ));
        }
        let folder = project.folder.file_name().unwrap_or_default();
        let name = ImageName::from_text(&folder.to_string_lossy());
        let identity = project.identity();
        let log = format!("{}-{}.log", name.as_str(), &identity.id[..8]);
        printer.log_to(home.logs.join(log));
        let mut trees = vec![application(project, &build.filter, printer)?];
        let buildpacks = buildpacks(&build.buildpacks, &mut trees)?;
        let request = request(build, options, identity, buildpacks, printer.detail());
        let uploader = Arc::new(Uploader::new(trees));
        Ok(Self { request, uploader })
    }

    /// The image's name.
    pub(super) fn name(&self) -> &str {
        self.request.names.first().map_or("", String::as_str)
    }
}

/// Asks for a build and follows it.
pub(super) async fn build(
    mut plan: Plan,
    client: &Client,
    printer: &mut Printer,
) -> Result<End, Failure> {
    let mut signals = Signals::listen()
        .map_err(|error| Failure::from_error(protocol::FailureKind::Machine, &error))?;
    plan.request.access = client.access.clone();
    let request = Request::Build(plan.request);
    let mut conversation = client.request(&request, printer).await?;
    let speaker = conversation.speaker();
    speaker.listings(&plan.uploader).await;
    loop {
        let heard = tokio::select! {
            heard = conversation.next() => heard?,
            code = signals::end(&mut signals) => {
                conversation.printer.stopped();
                return Ok(End::Stopped(code));
            }
        };
        match heard {
            Heard::Data(channel, bytes) => conversation.printer.output(channel, &bytes),
            Heard::Event(Event::SourceWanted { tree, indices }) => {
                speaker.files(&plan.uploader, tree, indices).await;
            }
            Heard::Reply(protocol::Reply::Built(built)) => return Ok(End::Built(built)),
            Heard::Reply(reply) => return Err(unexpected(&reply)),
            Heard::Event(_) => {}
        }
    }
}

fn application(
    project: &Project,
    filter: &SourceFilter,
    printer: &mut Printer,
) -> Result<SourceTree, Failure> {
    let (include, exclude) = match filter {
        SourceFilter::All => (&[][..], &[][..]),
        SourceFilter::Include(patterns) => (&patterns[..], &[][..]),
        SourceFilter::Exclude(patterns) => (&[][..], &patterns[..]),
    };
    let rules = Rules::new(&project.folder, include, exclude)?;
    let tree = source::walk(&project.folder, rules)?;
    if let [first, rest @ ..] = &tree.skipped[..] {
        let others = match rest.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let text = format!("{first}{others} left out: neither files, folders nor links");
        printer.warning(
            &text,
            Some("a .dockerignore that names them keeps this quiet"),
        );
    }
    Ok(tree)
}

/// Folders become trees of their own.
fn buildpacks(
    choices: &[BuildpackChoice],
    trees: &mut Vec<SourceTree>,
) -> Result<Vec<Buildpack>, Failure> {
    let mut buildpacks = Vec::new();
    for choice in choices {
        buildpacks.push(match choice {
            BuildpackChoice::Named(id) => Buildpack::Named(id.clone()),
            BuildpackChoice::Image(image) => Buildpack::Image(image.clone()),
            BuildpackChoice::Folder(folder) => {
                let number = u16::try_from(trees.len()).unwrap_or(u16::MAX);
                trees.push(source::walk(folder, Rules::new(folder, &[], &[])?)?);
                Buildpack::Tree(number)
            }
        });
    }
    Ok(buildpacks)
}

fn request(
    build: BuildSettings,
    options: &BuildOptions,
    project: protocol::request::Project,
    buildpacks: Vec<Buildpack>,
    detail: Detail,
) -> BuildRequest {
    BuildRequest {
        project,
        names: build.names,
        builder: build.builder,
        run_image: build.run_image,
        buildpacks,
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
    }
}
