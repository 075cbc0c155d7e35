//! Waits for the locks of the store on behalf of a request, and reports the
//! wait to the host.

use protocol::{Event, Failure};

use super::stream::RequestStream;
use crate::store::{Lock, Store, StoreError, UseKind, UseLock};

/// Prevents garbage collection while a request makes or uses blobs and layers.
/// Reports to the host if it has to wait.
pub(crate) async fn in_use(
    store: &Store,
    kind: UseKind,
    stream: &RequestStream,
) -> Result<UseLock, Failure> {
    let wait = async || -> Result<(), Failure> {
        let reason = "a check or a removal in the store".to_owned();
        Ok(stream.event(Event::Waiting { reason }).await?)
    };
    store.in_use(kind, wait).await
}

/// Waits until no other request uses the store. Reports the wait to the host.
pub(crate) async fn alone(store: &Store, stream: &RequestStream) -> Result<Lock, Failure> {
    let wait = async || -> Result<(), Failure> {
        let reason = "builds and containers that use the store".to_owned();
        Ok(stream.event(Event::Waiting { reason }).await?)
    };
    store.alone(wait).await
}

/// Reports an error of the store as a warning, if the request can go on.
pub(crate) async fn warn(
    stream: &RequestStream,
    consequence: &str,
    error: StoreError,
) -> Result<(), Failure> {
    let Failure {
        message,
        causes,
        hint,
        ..
    } = Failure::from(error);
    let text = [vec![consequence.to_owned(), message], causes].concat();
    Ok(stream.warn(text.join(": "), hint).await?)
}
