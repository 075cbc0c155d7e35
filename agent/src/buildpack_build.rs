//! Builds an image from source with the buildpacks of a builder: serves `locald
//! build`.
//!
//! The phases run in containers. The submodules prepare the input of the phases
//! and read their output.

pub mod builder;
pub mod buildpackage;
mod cache;
mod directory;
pub mod embedded;
mod images;
mod layer_env;
mod layer_size;
mod libraries;
pub mod lifecycle;
pub mod lifecycle_registry;
mod order;
mod phases;
mod record;
mod resolved_request;
mod run_image;
mod up_to_date;

use std::path::PathBuf;

use protocol::event::{Built, ImageRole};
use protocol::request::{BuildNetwork, BuildRequest};
use protocol::{Event, Failure, FailureKind, Reply};

pub use directory::{BuildDir, ProjectLayout};
pub(crate) use layer_env::apply as apply_layer_env;
pub use record::BuildRecord;

use crate::Agent;
use crate::buildpack_build::embedded::Embedded;
use crate::buildpack_build::lifecycle_registry::{
    Identity, LifecycleRegistry, Names, RegistryContent,
};
use crate::container::Network;
use crate::container::network::LoopbackNetwork;
use crate::container::pasta::PrivateNetwork;
use crate::crash::{self, Point};
use crate::images::digest::Digest;
use crate::images::reference::ImageRef;
use crate::process::ca_bundle::{self, CaBundle};
use crate::process::user;
use crate::registry::{Publication, Registry, RegistryError};
use crate::request::store_use;
use crate::request::stream::{Inputs, RequestStream};
use crate::store::layer::merged::Merged;
use crate::store::{Descriptor, Image, StoredImage, UseKind};
use crate::sync::source::{self, Source};
use images::Images;
use resolved_request::ResolvedRequest;

/// Serves a build request.
#[tracing::instrument(skip_all, fields(project = request.project.path))]
pub async fn build(
    agent: &Agent,
    request: BuildRequest,
    stream: RequestStream,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    let resolved = ResolvedRequest::new(request)?;
    let project = agent.store.project(&resolved.project)?;
    let waiting = stream.clone();
    let _lock = project
        .lock(async || -> Result<(), Failure> {
            let reason = "another build of this project".to_owned();
            Ok(waiting.event(Event::Waiting { reason }).await?)
        })
        .await?;
    project.note_folder(&resolved.request.project.path)?;
    let use_lock = store_use::in_use(&agent.store, UseKind::Work, &stream).await?;
    let registry = Registry::new(resolved.request.access.clone(), stream.clone());
    let work = Build {
        agent,
        layout: ProjectLayout::new(project.path()),
        resolved,
        stream,
        registry,
    };
    let built = work.run(inputs).await;
    source::end(project.path())?;
    let built = built?;
    drop(use_lock);
    if let Err(error) = agent.store.needs_of_all() {
        store_use::warn(&waiting, "what earlier builds have left stays", error).await?;
    }
    // Removes content that only an earlier image of the project needed.
    let store = agent.store.clone();
    tokio::task::spawn_blocking(move || store.collect_garbage());
    Ok(Reply::Built(built))
}

struct Build<'a> {
    agent: &'a Agent,
    layout: ProjectLayout,
    resolved: ResolvedRequest,
    stream: RequestStream,
    registry: Registry,
}

/// The inputs of a build.
struct Materials {
    sources: Vec<Source>,
    images: Images,
}

impl Build<'_> {
    async fn run(&self, mut inputs: Inputs) -> Result<Built, Failure> {
        let materials = self.gather(&mut inputs).await?;
        let fingerprint = self.fingerprint(&materials);
        if let Some(record) = self.up_to_date(&fingerprint)? {
            return self.finish_unchanged(&record).await;
        }
        let images = &materials.images;
        let mut publication = self.publication(images);
        let digest = self.make(&materials, publication.as_mut()).await?;
        let record = BuildRecord {
            fingerprint,
            image: digest,
            builder: images.builder_documents().digest,
            builder_name: self.resolved.builder.to_string(),
            platform_api: images.builder.api.to_string(),
            uid: images.builder.uid,
            gid: images.builder.gid,
            folder: self.resolved.request.project.path.clone(),
            run_image: images.run_image.image.digest,
            buildpackages: images.buildpackage_digests(),
        };
        record
            .save(self.layout.root())
            .map_err(|error| self.layout.failure("write the record of the build", &error))?;
        crash::at(Point::BuildRecorded);
        let image = self.agent.store.image(&digest)?;
        let mut published = Vec::new();
        if let Some(publication) = publication {
            publication
                .finish(&self.agent.store, &image, &self.registry)
                .await?;
            published = self.familiar_names();
        }
        Ok(self.built(&image, published, false))
    }

    /// Receives the source and finds the images, at the same time. Does not
    /// fetch the layers of the builder: an unchanged build does not need them.
    async fn gather(&self, inputs: &mut Inputs) -> Result<Materials, Failure> {
        let trees = self.resolved.trees();
        let receive = async {
            let received = source::receive(self.layout.root(), trees, &self.stream, inputs);
            received.await.map_err(Failure::from)
        };
        let images = Images::find(&self.resolved, &self.agent.store, &self.registry);
        let (sources, images) = tokio::try_join!(receive, images)?;
        Ok(Materials { sources, images })
    }

    fn fingerprint(&self, materials: &Materials) -> Digest {
        let sources: Vec<Digest> = materials
            .sources
            .iter()
            .map(|source| source.digest)
            .collect();
        let images = &materials.images;
        let embedded = order::embedded(&self.resolved, &materials.sources);
        record::fingerprint(&record::BuildInputs {
            embedded: embedded.map(Embedded::digest),
            request: &self.resolved.request,
            sources: &sources,
            buildpackages: &images.buildpackage_digests(),
            builder: &images.builder_documents().digest,
            run_image: &images.run_image.image.digest,
            run_name: &images.run_name.to_string(),
            name: &self.resolved.name().to_string(),
        })
    }

    /// Runs the five phases. Returns the manifest digest of the new image.
    async fn make(
        &self,
        materials: &Materials,
        publication: Option<&mut Publication>,
    ) -> Result<Digest, Failure> {
        let images = &materials.images;
        let store = &self.agent.store;
        let mut private = None;
        let build_network = match self.resolved.request.network {
            BuildNetwork::Host => Network::Host,
            BuildNetwork::None => Network::None,
            BuildNetwork::Private => private.insert(PrivateNetwork::start().await?).network(),
        };
        images
            .fetch_layers(&self.resolved, store, &self.registry)
            .await?;
        let state = store.temporary()?;
        let lowers = images.lowers(store, state.path())?;
        let directory = self.prepare(materials, &lowers)?;
        let extra = self.resolved.request.access.extra_ca.as_deref();
        let CaBundle { lowers, env } = ca_bundle::add(lowers, extra, state.path())
            .map_err(|error| self.layout.failure("add the machine's authorities", &error))?;
        let names = Names::of(self.resolved.names.iter().chain(&images.run_names()));
        let identity = Identity::new(&names.hosts)?;
        let network = LoopbackNetwork::new(&names.ports)?;
        let registry_network = network.network();
        let content = RegistryContent {
            store: store.clone(),
            scope: images.scope(&self.resolved, store)?,
            fetch: images.fetch(store, &self.registry),
            blob_forwarder: publication
                .as_ref()
                .map(|publication| Box::new(publication.blob_forwarder()) as _),
        };
        let registry = LifecycleRegistry::start(network.listeners, &identity, content)
            .map_err(|error| self.layout.failure("start the build's registry", &error))?;
        let phases = phases::Phases {
            agent: self.agent,
            stream: &self.stream,
            resolved: &self.resolved,
            images,
            registry: &self.registry,
            buildpack_trees: &directory.buildpacks,
            directory: &directory,
            names: &names,
            authority: &identity.authority,
            ca_variables: env,
            registry_network,
            build_network,
            home: user::home(images.builder.uid, Merged(&lowers))?,
            lowers,
            state,
        };
        self.run_phases(phases, images, publication).await?;
        crash::at(Point::PhasesEnded);
        let digest = self.publish_in_store(&registry.take_staged())?;
        crash::at(Point::BuildNamed);
        BuildRecord::remove(self.layout.root())
            .and_then(|()| directory.keep())
            .map_err(|error| self.layout.failure("keep the layers of the build", &error))?;
        crash::at(Point::BuildKept);
        Ok(digest)
    }

    async fn run_phases(
        &self,
        phases: phases::Phases<'_>,
        images: &Images,
        publication: Option<&mut Publication>,
    ) -> Result<(), Failure> {
        match publication {
            None => {
                // Fetches the layers of the run image while the buildpacks
                // work.
                let completing = async {
                    let completed = images.complete(&self.agent.store, &self.registry).await;
                    Ok::<_, Failure>(completed.err())
                };
                let ((), error) = tokio::try_join!(phases.run(), completing)?;
                self.tell_incomplete(error).await
            }
            // A build with `--publish` fails as soon as the upload fails. The
            // registry then has all layers, so the store need not have them.
            Some(publication) => tokio::select! {
                done = phases.run() => done,
                error = publication.refused() => Err(error.into()),
            },
        }
    }

    async fn tell_incomplete(&self, error: Option<RegistryError>) -> Result<(), Failure> {
        let Some(error) = error else { return Ok(()) };
        let message = format!("the layers of the run image are not all here: {error}");
        let hint = "they are fetched when the image is run or exported";
        Ok(self.stream.warn(message, Some(hint.to_owned())).await?)
    }

    fn prepare(&self, materials: &Materials, lowers: &[PathBuf]) -> Result<BuildDir, Failure> {
        let store = &self.agent.store;
        let choice = order::Choice {
            store,
            resolved: &self.resolved,
            images: &materials.images,
            lowers,
            sources: &materials.sources,
        };
        let prepare = directory::Prepare {
            store,
            layout: &self.layout,
            resolved: &self.resolved,
            images: &materials.images,
            sources: &materials.sources,
        };
        prepare.run(choice.order()?)
    }

    /// Makes the exported image visible under all its names, in one step.
    fn publish_in_store(&self, staged: &[(ImageRef, Descriptor)]) -> Result<Digest, Failure> {
        let name = self.resolved.name();
        let written = staged.iter().find(|(staged, _)| staged == name);
        let digest = match written {
            Some((_, descriptor)) => descriptor.digest,
            // The exporter writes no manifest if the name already has the same
            // one.
            None => self.existing(name)?.ok_or_else(|| {
                let message = "the exporter ended well, but exported no image";
                Failure::new(FailureKind::Internal, message)
            })?,
        };
        let role = ImageRole::Application;
        let images: Vec<StoredImage> = staged
            .iter()
            .map(|(name, descriptor)| StoredImage::now(name.to_string(), descriptor.clone(), role))
            .collect();
        self.agent.store.set_images(&images)?;
        Ok(digest)
    }

    /// The image in the store that has a name.
    fn existing(&self, name: &ImageRef) -> Result<Option<Digest>, Failure> {
        let stored = self.agent.store.find(&name.to_string())?;
        Ok(stored.map(|stored| stored.descriptor.digest))
    }

    /// Starts the upload of the image, if the request asks for it.
    fn publication(&self, images: &Images) -> Option<Publication> {
        self.resolved.request.publish.then(|| {
            self.registry.publish(
                &self.agent.store,
                &self.resolved.names,
                &images.run_name,
                &images.run_image.image,
            )
        })
    }

    fn familiar_names(&self) -> Vec<String> {
        self.resolved.names.iter().map(ImageRef::familiar).collect()
    }

    fn built(&self, image: &Image, published: Vec<String>, up_to_date: bool) -> Built {
        Built {
            digest: image.digest.to_string(),
            names: self.familiar_names(),
            size: image.size(),
            up_to_date,
            published,
            buildpacks: buildpacks(image),
        }
    }
}

/// The buildpacks in an image, from the metadata of the lifecycle.
fn buildpacks(image: &Image) -> Vec<String> {
    let runtime = image.config.runtime();
    let metadata = runtime.label("io.buildpacks.build.metadata");
    let metadata: serde_json::Value =
        serde_json::from_str(metadata.unwrap_or_default()).unwrap_or_default();
    let listed = metadata["buildpacks"].as_array().into_iter().flatten();
    let named = listed.filter_map(|it| Some((it["id"].as_str()?, it["version"].as_str()?)));
    named
        .map(|(id, version)| format!("{id} {version}"))
        .collect()
}
