//! Runs `locald image` and its subcommands.

use std::collections::BTreeMap;

use protocol::event::ImageSummary;
use protocol::request::ExportFormat;
use protocol::{Channel, Event, Failure, FailureKind, Reply, Request};

use super::{Start, ask, block_on, unexpected};
use crate::cli::{ExportOptions, ImageCommand, LoadOptions};
use crate::connection::request_stream::Incoming;
use crate::connection::session::Session;
use crate::exit_code;
use crate::export::{Loader, Writer};
use crate::output::{Answer, ImageDetails, Printer};
use crate::settings::MachineKind;

/// The maximum size of an image's documents, in bytes.
const DOCUMENT_CAP: u64 = 16 * 1024 * 1024;

pub(super) fn run(
    command: ImageCommand,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    if let ImageCommand::Load(options) = command {
        return load(&options, machine, printer);
    }
    let setup = Start::here(machine, printer)?.setup;
    let answer = match command {
        // The caller has handled `load`.
        ImageCommand::Load(_) => return Ok(exit_code::SUCCESS),
        ImageCommand::Ls => {
            let images = block_on(async {
                let session = setup.connect(printer).await?;
                list(&session, printer).await
            })?;
            Answer::Images(images)
        }
        ImageCommand::Inspect { image } => {
            let details = block_on(async {
                let session = setup.connect(printer).await?;
                inspect(&session, printer, image).await
            })?;
            Answer::Image(Box::new(details))
        }
        ImageCommand::Tag { image, name } => {
            let (old, new) = (image.clone(), name.clone());
            match ask(setup, printer, |_| Request::ImageTag { image, name })? {
                Reply::Digest(digest) => Answer::Tagged { old, new, digest },
                reply => return Err(unexpected(&reply)),
            }
        }
        ImageCommand::Rm { images } => {
            match ask(setup, printer, |_| Request::ImageRemove { images })? {
                Reply::Removed { names, freed } => Answer::Removed { names, freed },
                reply => return Err(unexpected(&reply)),
            }
        }
        ImageCommand::Export(options) => {
            let digest = block_on(async {
                let session = setup.connect(printer).await?;
                export(&session, printer, &options).await
            })?;
            let (image, target) = (options.image, options.target);
            if target.is_stdout() {
                return Ok(exit_code::SUCCESS);
            }
            Answer::Exported {
                image,
                target,
                digest,
            }
        }
    };
    printer.answer(&answer);
    Ok(exit_code::SUCCESS)
}

async fn list(session: &Session, printer: &mut Printer) -> Result<Vec<ImageSummary>, Failure> {
    let mut stream = session.request(&Request::ImageList, printer).await?;
    let mut images = Vec::new();
    loop {
        match stream.next().await? {
            Incoming::Event(Event::Image(image)) => images.push(image),
            Incoming::Event(_) | Incoming::Data(..) => {}
            Incoming::Reply(_) => return Ok(images),
        }
    }
}

async fn inspect(
    session: &Session,
    printer: &mut Printer,
    image: String,
) -> Result<ImageDetails, Failure> {
    let request = Request::ImageInspect { image };
    let mut stream = session.request(&request, printer).await?;
    let mut documents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let (mut open, mut left) = (String::new(), 0);
    let digest = loop {
        match stream.next().await? {
            Incoming::Event(Event::Document { name, size }) if size <= DOCUMENT_CAP => {
                documents.insert(name.clone(), Vec::new());
                (open, left) = (name, size);
            }
            Incoming::Data(Channel::Bulk, bytes) if bytes.len() as u64 <= left => {
                left -= bytes.len() as u64;
                documents.entry(open.clone()).or_default().extend(&bytes);
            }
            Incoming::Reply(Reply::Digest(digest)) => break digest,
            incoming => {
                let message = format!("the agent sends what was not asked for: {incoming:.200?}");
                return Err(Failure::new(FailureKind::Internal, message));
            }
        }
    };
    drop(stream);
    let images = list(session, printer).await?;
    let same = images.into_iter().filter(|image| image.digest == digest);
    let names = same.map(|image| image.name).collect();
    let document = |name: &str| {
        let bytes = documents.get(name).map_or(&[][..], Vec::as_slice);
        serde_json::from_slice(bytes).map_err(|error| {
            let message = format!("the {name} of {digest} is not a valid JSON document");
            let mut failure = Failure::new(FailureKind::Integrity, message);
            failure.causes.push(error.to_string());
            failure
        })
    };
    Ok(ImageDetails {
        names,
        manifest: document("manifest")?,
        config: document("config")?,
        digest,
    })
}

async fn export(
    session: &Session,
    printer: &mut Printer,
    options: &ExportOptions,
) -> Result<String, Failure> {
    let mut writer = Writer::create(&options.target, options.force)?;
    let (image, format) = (&options.image, options.target.format());
    let digest = receive(session, printer, image, format, &mut writer).await?;
    writer.finish().await?;
    Ok(digest)
}

/// Runs `locald image load`. Docker or Podman must run as the user. So locald
/// starts it before this process enters the agent's namespaces, and feeds it
/// afterwards.
fn load(
    options: &LoadOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let (loader, input) = Loader::start(options.tool)?;
    let setup = Start::here(machine, printer)?.setup;
    let digest = block_on(async {
        let session = setup.connect(printer).await?;
        let too_many = warn_of_layers(options, &session, printer).await?;
        let mut writer = Writer::feed(input);
        let format = ExportFormat::DockerArchive;
        let received = receive(&session, printer, &options.image, format, &mut writer).await;
        let fed = match received {
            Ok(digest) => writer
                .finish()
                .await
                .map(|()| digest)
                .map_err(Failure::from),
            // The program reported no error. Dropping it kills it.
            Err(failure) if !writer.has_ended() => return Err(failure),
            Err(failure) => Err(failure),
        };
        // If the program closed its input early, its own error explains the
        // failure.
        loader.finish().map_err(|error| match too_many {
            Some(hint) => Failure::from(error).with_hint(hint),
            None => error.into(),
        })?;
        fed
    })?;
    let (image, tool) = (options.image.clone(), options.tool);
    printer.answer(&Answer::Loaded {
        image,
        tool,
        digest,
    });
    Ok(exit_code::SUCCESS)
}

/// Warns if the image has more layers than the program accepts. Returns a hint
/// for that case.
async fn warn_of_layers(
    options: &LoadOptions,
    session: &Session,
    printer: &mut Printer,
) -> Result<Option<&'static str>, Failure> {
    let (image, most) = (&options.image, options.tool.most_layers());
    let layers = inspect(session, printer, image.clone()).await?.layers();
    if layers <= most {
        return Ok(None);
    }
    let message = format!(
        "{image} has {layers} layers: Docker takes {most}, unless it keeps images in \
         containerd's store"
    );
    let hint = "let Docker use containerd's store, or build with fewer layers: \
                a run image (`--run-image`) or buildpacks that make fewer";
    printer.warning(&message, Some(hint));
    Ok(Some(hint))
}

/// Receives the files of an image, and passes them to `writer`. Returns the
/// image's digest.
async fn receive(
    session: &Session,
    printer: &mut Printer,
    image: &str,
    format: ExportFormat,
    writer: &mut Writer,
) -> Result<String, Failure> {
    let request = Request::ImageExport {
        image: image.to_owned(),
        format,
        access: session.access.clone(),
    };
    let mut stream = session.request(&request, printer).await?;
    loop {
        match stream.next().await? {
            Incoming::Event(Event::File { path, size }) => writer.file(path, size).await?,
            Incoming::Data(Channel::Bulk, bytes) => writer.bytes(bytes).await?,
            Incoming::Event(_) | Incoming::Data(..) => {}
            Incoming::Reply(Reply::Digest(digest)) => return Ok(digest),
            Incoming::Reply(reply) => return Err(unexpected(&reply)),
        }
    }
}
