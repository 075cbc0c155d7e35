//! Parses the formats of the Open Container Initiative (OCI): references,
//! digests and media types.

pub mod digest;
pub(crate) mod media_type;
pub mod reference;
