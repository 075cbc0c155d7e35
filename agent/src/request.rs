//! What the code behind every request shares: the request's stream to the host,
//! and the list of the requests that are being served.

pub(crate) mod abridged_list;
pub(crate) mod active;
pub(crate) mod store_use;
pub mod stream;
