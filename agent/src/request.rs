//! Holds what every request's code shares: the stream to the host, the list of
//! active requests, and the use of the store beside other requests.

pub(crate) mod abridged_list;
pub(crate) mod active;
pub(crate) mod store_use;
pub mod stream;
