//! One request's stream to its host, the list of the active requests, and the
//! use of the store beside other requests.

pub(crate) mod abridged_list;
pub(crate) mod active;
pub(crate) mod store_use;
pub mod stream;
