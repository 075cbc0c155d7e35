//! Image references, digests and media types, as the Open Container Initiative
//! (OCI) and Docker write them. `store::image` parses manifests, and
//! `registry::index` image indexes.

pub mod digest;
pub(crate) mod media_type;
pub mod reference;
