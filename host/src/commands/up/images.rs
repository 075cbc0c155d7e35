//! Builds and pulls the images of services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::request::{EnvVar, ProcessProxies, PullPolicy, Stdio};
use protocol::{Failure, FailureKind, Request};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::project::SelectedServices;
use crate::commands::Start;
use crate::commands::build::{self, PreparedBuild};
use crate::commands::rebuild::{BuildInputs, Rebuilder};
use crate::connection::session::Session;
use crate::output::Printer;
use crate::platform::home::Home;
use crate::project::Project;
use crate::services::{Launch, Order, ServiceProgram};
use crate::settings::{BuildTable, Origin, Service, ServiceKind, Settings};

/// The images of all services.
pub(super) struct Images {
    builds: Vec<Build>,
    /// References of images to pull.
    pulls: Vec<String>,
}

/// An image that one or more services build.
struct Build {
    services: Vec<String>,
    workdir: Option<PathBuf>,
    table: Option<BuildTable>,
    inputs: BuildInputs,
    prepared: PreparedBuild,
    /// The image's digest. Absent until a build succeeds.
    digest: Option<String>,
}

impl Images {
    /// Lists the sources to build. Services with the same source and the same
    /// build table share an image.
    pub(super) fn prepare(
        services: &SelectedServices,
        project: &Project,
        start: &Start,
        builder: Option<&str>,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        let (home, settings) = (&start.home, &start.settings);
        let (mut builds, mut pulls): (Vec<Build>, Vec<String>) = (Vec::new(), Vec::new());
        for service in &services.all {
            let (workdir, table) = match &service.origin {
                Origin::Image(image) if pulls.contains(image) => continue,
                Origin::Image(image) => {
                    pulls.push(image.clone());
                    continue;
                }
                Origin::Source { workdir, build } => (workdir, build.as_deref()),
            };
            let same =
                |build: &&mut Build| &build.workdir == workdir && build.table.as_ref() == table;
            if let Some(build) = builds.iter_mut().find(same) {
                build.services.push(service.name.clone());
                continue;
            }
            let mut inputs = inputs(service, workdir.as_deref(), table, project, home, settings)?;
            inputs.builder = builder.map(str::to_owned);
            let prepared = inputs.prepare(printer.detail()).map_err(about(service))?;
            prepared.announce(home, printer);
            builds.push(Build {
                services: vec![service.name.clone()],
                workdir: workdir.clone(),
                table: table.cloned(),
                inputs,
                prepared,
                digest: None,
            });
        }
        Ok(Self { builds, pulls })
    }

    /// Builds and pulls the images. If `goes_on` is true, prints the failure of
    /// a build, and its services wait until a later build succeeds.
    pub(super) async fn build(
        &mut self,
        session: &Session,
        goes_on: bool,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        for image in &self.pulls {
            let request = Request::Pull {
                image: image.clone(),
                policy: PullPolicy::Daily,
                access: session.access.clone(),
            };
            session.request(&request, printer).await?.reply().await?;
        }
        for build in &mut self.builds {
            let prepared = build.prepared.clone();
            let name = prepared.name().to_owned();
            prepared.log(&build.inputs.home, printer);
            match build::follow(prepared, session, printer).await {
                Ok(built) => {
                    if !built.up_to_date {
                        printer.note(&format!("Built {name} for {}", build.services.join(", ")));
                    }
                    build.digest = Some(built.digest);
                }
                Err(failure) if goes_on && failure.kind != FailureKind::Machine => {
                    printer.failure(&of_services(&build.services, failure));
                    let services = build.services.join(", ");
                    printer.note(&format!(
                        "A change of the source that builds starts {services}"
                    ));
                }
                Err(failure) => return Err(of_services(&build.services, failure)),
            }
        }
        Ok(())
    }

    /// Rebuilds an image when its source changes, and restarts its services.
    pub(super) fn watch(
        self,
        session: &Arc<Session>,
        orders: &BTreeMap<String, mpsc::UnboundedSender<Order>>,
        tasks: &mut JoinSet<Result<(), Failure>>,
        printer: &Printer,
    ) {
        for build in self.builds {
            let told = build.services.iter().filter_map(|name| orders.get(name));
            let told: Vec<_> = told.cloned().collect();
            let (session, mut printer) = (Arc::clone(session), printer.background());
            tasks.spawn(async move {
                let mut rebuilder =
                    Rebuilder::new(build.inputs, build.prepared, build.digest, &mut printer);
                loop {
                    rebuilder.next(&session, &mut printer).await;
                    for order in &told {
                        // A supervisor that has ended has reported its failure.
                        let _ = order.send(Order::Start);
                    }
                }
            });
        }
    }

    /// Whether the image of a service exists. Always true for a pulled image.
    pub(super) fn is_ready(&self, service: &Service) -> bool {
        self.of(service).is_none_or(|build| build.digest.is_some())
    }

    /// Describes the process of a service.
    pub(super) fn launch(&self, service: &Service, stdio: Stdio) -> Launch {
        let build = self.of(service);
        let image = match (&service.origin, build) {
            (Origin::Image(image), _) => image.clone(),
            (_, build) => build.map_or_else(String::new, |build| build.prepared.name().to_owned()),
        };
        let program = match (&service.command, build) {
            (Some(command), _) => ServiceProgram::Command(command.words()),
            (None, Some(build)) => ServiceProgram::Procfile {
                folder: build.inputs.source.folder.clone(),
                names: declared_under(service),
            },
            (None, None) => ServiceProgram::Process {
                process: None,
                args: Vec::new(),
            },
        };
        let mut env = service.env.clone();
        if let Some(port) = service.port
            && !env.iter().any(|variable| variable.name == "PORT")
        {
            let (name, value) = ("PORT".to_owned(), port.to_string());
            env.push(EnvVar { name, value });
        }
        Launch {
            name: service.name.clone(),
            image,
            program,
            env,
            proxies: ProcessProxies::Image,
            port: service.port,
            health: service.health.clone(),
            depends_on: service.depends_on.clone(),
            stop_signal: service.stop_signal,
            stdio,
        }
    }

    fn of(&self, service: &Service) -> Option<&Build> {
        let mut builds = self.builds.iter();
        builds.find(|build| build.services.contains(&service.name))
    }
}

/// Returns the process types of a Procfile that may hold the command of a
/// service: its own name, and `web` except for a worker.
fn declared_under(service: &Service) -> Vec<String> {
    let web = (service.kind != ServiceKind::Worker).then(|| "web".to_owned());
    [service.name.clone()].into_iter().chain(web).collect()
}

fn inputs(
    service: &Service,
    workdir: Option<&Path>,
    table: Option<&BuildTable>,
    project: &Project,
    home: &Home,
    settings: &Settings,
) -> Result<BuildInputs, Failure> {
    let (home, root) = (home.clone(), project.folder.clone());
    if workdir.is_none() && table.is_none() {
        let source = project.clone();
        return Ok(BuildInputs {
            home,
            root,
            source,
            own: None,
            builder: None,
        });
    }
    let workdir = workdir.unwrap_or(Path::new("."));
    let folder = settings.boundary().find(&root, workdir);
    let folder = folder.map_err(Failure::from).map_err(about(service))?;
    let source = Project::find(Some(&folder)).map_err(Failure::from);
    let source = source.map_err(about(service))?.of_service(&service.name);
    let name = format!("{}-{}", settings.project_name(&root), service.name);
    let own = Some((table.cloned().unwrap_or_default(), name));
    Ok(BuildInputs {
        home,
        root,
        source,
        own,
        builder: None,
    })
}

/// Puts the services' names before a failure's message.
fn of_services(services: &[String], mut failure: Failure) -> Failure {
    failure.message = format!("{}: {}", services.join(", "), failure.message);
    failure
}

/// Returns a function that puts the service's name before a failure's message.
fn about(service: &Service) -> impl Fn(Failure) -> Failure {
    move |mut failure| {
        failure.message = format!("service `{}`: {}", service.name, failure.message);
        failure
    }
}
