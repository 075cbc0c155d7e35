//! There are no jobs.

use crate::printer::LiveLines;

/// Nothing suspends this process.
pub(crate) fn follow(_: LiveLines) {}
