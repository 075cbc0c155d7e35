//! Connects one request with its host, lists the active requests, and
//! coordinates their use of the store.

pub(crate) mod abridged_list;
pub(crate) mod active;
pub(crate) mod store_use;
pub mod stream;
