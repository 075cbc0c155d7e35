//! Decides the modification time of a file with new content.
//!
//! Tools that compare times, such as Cargo, must see the change. So the time
//! must be newer than all files of earlier builds. If the file's time on the
//! host is new enough, the file gets it: a shell shows the host's own files,
//! and a file with the same time in both is not compiled twice. Otherwise, for
//! example if an older file replaced it, the file gets the current time.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that locald makes at the end of a build, and removes at the start of
/// the next. All sources of earlier builds are older than it.
const ENDED: &str = "ended";

/// The host's times that files may get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// The limit: only later times are used. Absent if none may be used.
    after: Option<SystemTime>,
}

impl Times {
    /// All times, as a shell over the folder itself shows them.
    pub(crate) const ALL: Self = Self {
        after: Some(UNIX_EPOCH),
    };

    /// Starts a build of the sources in a directory.
    pub(super) fn begin(root: &Path) -> io::Result<Self> {
        let after = match fs_err::metadata(root.join(ENDED)) {
            Ok(ended) => {
                let after = ended.modified()?;
                fs_err::remove_file(root.join(ENDED))?;
                Some(after)
            }
            // No build has used the directory.
            Err(_) if !root.exists() => Some(UNIX_EPOCH),
            Err(_) => None,
        };
        Ok(Self { after })
    }

    /// Ends a build, successful or not.
    pub(super) fn end(root: &Path) -> io::Result<()> {
        if root.exists() {
            fs_err::write(root.join(ENDED), "")?;
        }
        Ok(())
    }

    /// Converts a time of the host, in nanoseconds since the epoch. Absent if
    /// the file may not get it.
    pub(super) fn of_host(self, modified: i64) -> Option<SystemTime> {
        let modified = UNIX_EPOCH + Duration::from_nanos(u64::try_from(modified).ok()?);
        let after = self.after?;
        // A time in the future comes from a host with another clock.
        (modified > after && modified <= SystemTime::now()).then_some(modified)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn nanoseconds(time: SystemTime) -> i64 {
        let since = time.duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since.as_nanos()).unwrap()
    }

    #[test]
    fn times_are_the_hosts_after_the_last_build_and_only_then() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("source");
        let first = Times::begin(&root).unwrap();
        assert!(first.of_host(1).is_some());
        assert_eq!(first.of_host(-1), None);
        let future = nanoseconds(SystemTime::now() + Duration::from_hours(1));
        assert_eq!(first.of_host(future), None);

        fs_err::create_dir(&root).unwrap();
        Times::end(&root).unwrap();
        let ended = fs_err::metadata(root.join(ENDED))
            .unwrap()
            .modified()
            .unwrap();
        let second = Times::begin(&root).unwrap();
        assert_eq!(second.of_host(nanoseconds(ended)), None);
        assert!(second.of_host(nanoseconds(ended) + 1).is_some());

        // The second build was killed.
        let third = Times::begin(&root).unwrap();
        assert_eq!(third.of_host(nanoseconds(ended) + 1), None);
    }
}
