//! Sends the bytes of files that the agent wants.

use std::io::Read as _;
use std::path::PathBuf;

use protocol::source::Tree;
use protocol::{Channel, Input};

use crate::connection::agent::{AgentError, Sender};

/// Bytes of a file per message.
pub(super) const BUFFER: usize = 256 * 1024;

/// Queues a file that is in memory.
pub(super) async fn send_bytes(
    sender: &mut Sender,
    tree: Tree,
    index: u32,
    bytes: &[u8],
) -> Result<(), AgentError> {
    let size = bytes.len() as u64;
    sender
        .queue_input(&Input::SourceFile { tree, index, size })
        .await?;
    for part in bytes.chunks(BUFFER) {
        sender.queue_data(Channel::Bulk, part).await?;
    }
    Ok(())
}

/// Queues exactly as many bytes as announced, even if the file changes
/// meanwhile. A file that shrinks fails the build, and does not break the
/// protocol.
pub(crate) async fn send_file(
    sender: &mut Sender,
    tree: Tree,
    index: u32,
    path: PathBuf,
) -> Result<(), AgentError> {
    let opened = fs_err::File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, mut file) = match opened {
        Ok(opened) => opened,
        Err(error) => return lost(sender, tree, index, &error.to_string()).await,
    };
    if size <= BUFFER as u64 {
        // Read a small file at once, so that a change does not mix old and new
        // bytes.
        let mut bytes = Vec::new();
        if let Err(error) = file.read_to_end(&mut bytes) {
            return lost(sender, tree, index, &error.to_string()).await;
        }
        return send_bytes(sender, tree, index, &bytes).await;
    }
    sender
        .queue_input(&Input::SourceFile { tree, index, size })
        .await?;
    let mut left = size;
    let mut buffer = vec![0; BUFFER];
    while left > 0 {
        let wanted = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        match file.read(&mut buffer[..wanted]) {
            Ok(count) if count > 0 => {
                sender.queue_data(Channel::Bulk, &buffer[..count]).await?;
                left -= count as u64;
            }
            _ => {
                let message = format!("{} changed while it was read", path.display());
                return lost(sender, tree, index, &message).await;
            }
        }
    }
    Ok(())
}

/// Queues the message that a file cannot be sent, with the reason.
pub(crate) async fn lost(
    sender: &mut Sender,
    tree: Tree,
    index: u32,
    message: &str,
) -> Result<(), AgentError> {
    let message = message.to_owned();
    sender
        .queue_input(&Input::SourceLost {
            tree,
            index,
            message,
        })
        .await
}
