//! Windows has no such limit.

pub(crate) fn raise() {}
