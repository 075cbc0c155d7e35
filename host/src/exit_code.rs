//! The exit codes of `locald`. They are an interface: `docs/exit-codes.md`
//! lists them, and a test compares the list with this file.

use protocol::FailureKind;

/// The command succeeded.
pub(crate) const SUCCESS: u8 = 0;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// A bug, or an unexpected condition.
pub(crate) const INTERNAL: u8 = 110;
/// A reference, a name, a setting or a value is not valid.
pub(crate) const INVALID: u8 = 111;
/// The image is neither in the store nor in the registry.
pub(crate) const NOT_FOUND: u8 = 112;
/// The registry demands other credentials.
pub(crate) const UNAUTHORIZED: u8 = 113;
/// The registry does not answer, or answers with an error.
pub(crate) const REGISTRY: u8 = 114;
/// Content does not match its digest or size, or is unsafe to unpack.
pub(crate) const INTEGRITY: u8 = 115;
/// The image is for another operating system or architecture.
pub(crate) const PLATFORM: u8 = 116;
/// The image cannot be used as a builder or run image.
pub(crate) const BUILDER: u8 = 117;
/// The project's files cannot be used.
pub(crate) const SOURCE: u8 = 118;
/// The store, or an output file, cannot be read or written.
pub(crate) const STORE: u8 = 119;
/// A file system is full.
pub(crate) const DISK_FULL: u8 = 120;
/// The machine lacks something, or its agent cannot be reached.
pub(crate) const MACHINE: u8 = 121;
/// A container could not be started.
pub(crate) const CONTAINER: u8 = 122;
/// The project has no build yet.
pub(crate) const NOT_BUILT: u8 = 123;
/// The agent does not know this kind of request.
pub(crate) const UNSUPPORTED: u8 = 124;
/// Ctrl-C interrupted the command.
pub(crate) const INTERRUPTED: u8 = 130;

/// Returns the exit code of a failure.
pub(crate) const fn of(kind: FailureKind) -> u8 {
    match kind {
        // A lifecycle that fails with exit code 0 is an internal error.
        FailureKind::Internal | FailureKind::Lifecycle { code: 0 } => INTERNAL,
        FailureKind::Invalid => INVALID,
        FailureKind::NotFound => NOT_FOUND,
        FailureKind::Unauthorized => UNAUTHORIZED,
        FailureKind::Registry => REGISTRY,
        FailureKind::Integrity => INTEGRITY,
        FailureKind::Platform => PLATFORM,
        FailureKind::Builder => BUILDER,
        FailureKind::Lifecycle { code } => code,
        FailureKind::Source => SOURCE,
        FailureKind::Store => STORE,
        FailureKind::DiskFull => DISK_FULL,
        FailureKind::Machine => MACHINE,
        FailureKind::Container => CONTAINER,
        FailureKind::NotBuilt => NOT_BUILT,
        FailureKind::Cancelled => INTERRUPTED,
        FailureKind::Unsupported => UNSUPPORTED,
    }
}

/// Returns the name of a failure's class in JSON.
pub(crate) const fn name(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Internal => "internal",
        FailureKind::Invalid => "invalid",
        FailureKind::NotFound => "not-found",
        FailureKind::Unauthorized => "unauthorized",
        FailureKind::Registry => "registry",
        FailureKind::Integrity => "integrity",
        FailureKind::Platform => "platform",
        FailureKind::Builder => "builder",
        FailureKind::Lifecycle { .. } => "lifecycle",
        FailureKind::Source => "source",
        FailureKind::Store => "store",
        FailureKind::DiskFull => "disk-full",
        FailureKind::Machine => "machine",
        FailureKind::Container => "container",
        FailureKind::NotBuilt => "not-built",
        FailureKind::Cancelled => "cancelled",
        FailureKind::Unsupported => "unsupported",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PAGE: &str = include_str!("../../docs/exit-codes.md");

    const KINDS: [FailureKind; 17] = [
        FailureKind::Internal,
        FailureKind::Invalid,
        FailureKind::NotFound,
        FailureKind::Unauthorized,
        FailureKind::Registry,
        FailureKind::Integrity,
        FailureKind::Platform,
        FailureKind::Builder,
        FailureKind::Lifecycle { code: 51 },
        FailureKind::Source,
        FailureKind::Store,
        FailureKind::DiskFull,
        FailureKind::Machine,
        FailureKind::Container,
        FailureKind::NotBuilt,
        FailureKind::Cancelled,
        FailureKind::Unsupported,
    ];

    /// Returns the exit code and class of each row of the documentation's
    /// tables.
    fn documented() -> BTreeMap<u8, String> {
        let rows = PAGE.lines().filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let code = cells.next()?.parse().ok()?;
            Some((code, cells.next()?.trim_matches('`').to_owned()))
        });
        rows.collect()
    }

    #[test]
    fn the_page_and_the_code_agree() {
        let documented = documented();
        for kind in KINDS {
            let class = documented.get(&of(kind)).map(String::as_str);
            assert_eq!(class, Some(name(kind)), "{kind:?}");
        }
        for code in [SUCCESS, USAGE] {
            assert!(documented.contains_key(&code), "{code}");
        }
        let own = documented.keys().filter(|code| **code >= INTERNAL).count();
        // All classes except the lifecycle's, which has exit codes of its own.
        assert_eq!(own, KINDS.len() - 1, "the page lists a code too many");
    }

    #[test]
    fn no_two_kinds_share_a_code() {
        let codes: BTreeMap<_, _> = KINDS.iter().map(|kind| (of(*kind), *kind)).collect();
        assert_eq!(codes.len(), KINDS.len());
    }

    #[test]
    fn a_failed_phase_never_looks_like_success() {
        assert_eq!(of(FailureKind::Lifecycle { code: 0 }), INTERNAL);
        assert_eq!(of(FailureKind::Lifecycle { code: 51 }), 51);
    }
}
