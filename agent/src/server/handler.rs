//! Calls the code that serves a request.

use protocol::{Failure, FailureKind, Reply, Request};

use crate::commands::{doctor, forward, image, maintenance, run, shell};
use crate::request::stream::{Inputs, RequestStream};
use crate::sync::live_folder;
use crate::{Agent, buildpack_build, machine};

/// Serves one request. Dropping the future cancels it. A stop of the agent that
/// does not wait cancels it, too.
pub async fn handle(
    agent: &Agent,
    request: Request,
    stream: RequestStream,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    // Boxed: the compiler cannot handle a future that contains too many others.
    let served = Box::pin(work(agent, request, stream, inputs)).await;
    served.map_err(|failure| maintenance::explain(&agent.store, failure))
}

/// Serves a request. Registers it if a stop has to wait for it.
async fn work(
    agent: &Agent,
    request: Request,
    stream: RequestStream,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    let Some(name) = name(&request) else {
        return serve(agent, request, stream, inputs).await;
    };
    let _ticket = agent.active.begin(name)?;
    tokio::select! {
        served = serve(agent, request, stream, inputs) => served,
        () = agent.active.interrupted() => {
            let message = "the machine was stopped";
            Err(Failure::new(FailureKind::Cancelled, message))
        }
    }
}

/// The name of a request that a stop would interrupt; absent for other
/// requests.
fn name(request: &Request) -> Option<String> {
    match request {
        Request::Build(build) => Some(format!("a build of {}", build.project.path)),
        Request::Run(run) => Some(format!("a process of {}", run.image)),
        Request::Shell(shell) => Some(format!("a shell of {}", shell.project.path)),
        Request::ImageExport { image, .. } => Some(format!("an export of {image}")),
        Request::Pull { image, .. } => Some(format!("a pull of {image}")),
        Request::Console { .. } => Some("a shell of the machine".to_owned()),
        Request::Push { target, .. } => Some(format!("a push to {target}")),
        Request::Folder { project } => Some(format!("the changes of {}", project.path)),
        _ => None,
    }
}

async fn serve(
    agent: &Agent,
    request: Request,
    stream: RequestStream,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    match request {
        Request::AgentStatus => Ok(Reply::Status(agent.status())),
        Request::Build(request) => buildpack_build::build(agent, request, stream, inputs).await,
        Request::Run(request) => run::run(agent, request, stream, inputs).await,
        Request::Shell(request) => shell::shell(agent, request, stream, inputs).await,
        Request::ImageList => image::list(&agent.store, &stream).await,
        Request::ImageInspect { image } => image::inspect(&agent.store, &stream, &image).await,
        Request::ImageTag { image, name } => image::tag(&agent.store, &stream, &image, &name).await,
        Request::ImageRemove { images } => image::remove(&agent.store, &stream, &images).await,
        Request::ImageExport {
            image,
            format,
            access,
        } => image::export(agent, stream, &image, format, access).await,
        Request::Pull {
            image,
            policy,
            access,
        } => image::pull(agent, stream, &image, policy, access).await,
        Request::Push {
            image,
            target,
            access,
        } => image::push(agent, stream, &image, &target, access).await,
        Request::StoreUsage => {
            let store = agent.store.clone();
            let used = tokio::task::spawn_blocking(move || maintenance::usage(&store)).await;
            Ok(used.map_err(|error| Failure::from_error(FailureKind::Internal, &error))??)
        }
        Request::StoreVerify { repair } => maintenance::verify(agent, repair, &stream).await,
        Request::StorePrune(request) => maintenance::prune(&agent.store, &request, &stream).await,
        Request::Doctor => doctor::run(agent, &stream).await,
        Request::MachineStatus => Ok(machine::status(agent)),
        Request::SetClock { nanos } => machine::set_clock(agent, nanos),
        Request::Forward { port } => forward::forward(agent, port, stream, inputs).await,
        Request::MachineTrim => machine::trim(agent).await,
        Request::MachineStop { running } => machine::stop(agent, running, &stream).await,
        Request::MachineClear { keep_images } => machine::clear(agent, keep_images).await,
        Request::MachineUsage => machine::usage(agent).await,
        Request::Console { command, stdio } => {
            machine::console(agent, &command, stdio, &stream, inputs).await
        }
        Request::Folder { project } => {
            live_folder::folder(&agent.store, &agent.folders, project, stream, inputs).await
        }
    }
}
