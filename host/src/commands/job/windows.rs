//! There are no jobs.

use crate::output::LiveLines;

/// Nothing suspends this process.
pub(crate) fn follow(_: LiveLines) {}
