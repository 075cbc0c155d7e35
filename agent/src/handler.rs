//! From a request to the code that serves it.

use protocol::{Failure, FailureKind, Reply, Request};

use crate::dialogue::{Dialogue, Inputs};
use crate::{Agent, build, doctor, image, run, shell, upkeep};

/// Serves one request. Dropping the future cancels it.
pub async fn handle(
    agent: &Agent,
    request: Request,
    dialogue: Dialogue,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    match request {
        Request::Status => Ok(Reply::Status(agent.status())),
        Request::Build(request) => build::build(agent, request, dialogue, inputs).await,
        Request::Run(request) => run::run(agent, request, dialogue, inputs).await,
        Request::Shell(request) => shell::shell(agent, request, dialogue, inputs).await,
        Request::ImageList => image::list(&agent.store, &dialogue).await,
        Request::ImageInspect { image } => image::inspect(&agent.store, &dialogue, &image).await,
        Request::ImageTag { image, name } => image::tag(&agent.store, &image, &name),
        Request::ImageRemove { images } => image::remove(&agent.store, &images),
        Request::ImageExport {
            image,
            format,
            access,
        } => image::export(agent, dialogue, &image, format, access).await,
        Request::Pull {
            image,
            policy,
            access,
        } => image::pull(agent, dialogue, &image, policy, access).await,
        Request::Push {
            image,
            target,
            access,
        } => image::push(agent, dialogue, &image, &target, access).await,
        Request::StoreUsage => {
            let store = agent.store.clone();
            let used = tokio::task::spawn_blocking(move || upkeep::usage(&store)).await;
            Ok(used.map_err(|error| Failure::from_error(FailureKind::Internal, &error))??)
        }
        Request::StoreVerify { repair } => upkeep::verify(agent, repair, &dialogue).await,
        Request::StorePrune(request) => upkeep::prune(&agent.store, &request, &dialogue).await,
        Request::Doctor => doctor::run(agent, &dialogue).await,
    }
}
