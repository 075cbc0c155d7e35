//! The formats of the Open Container Initiative (OCI): references, digests,
//! media types and layers.

pub mod digest;
pub mod layer;
pub(crate) mod media_type;
pub mod reference;
