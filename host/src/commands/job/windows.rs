//! Windows has no job control.

use crate::output::LiveLines;

/// Nothing suspends this process.
pub(crate) fn follow(_: LiveLines) {}
