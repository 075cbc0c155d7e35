//! Decides the modification time of a file with new content.
//!
//! Tools that compare times, like Cargo, must see the change: the time is newer
//! than everything that they did in earlier builds. If the file's time on the
//! host is new enough, the file gets it, because a shell shows the host's files
//! themselves: a file with the same time in both is not compiled twice.
//! Otherwise, for example if an older file replaced it, the file gets the
//! current time.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Made when a build ends, whose sources are then known to be older; removed
/// while one runs.
const ENDED: &str = "ended";

/// What times can be taken from the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Those after this one. Absent: none.
    after: Option<SystemTime>,
}

impl Times {
    /// All of them, as a shell over the folder itself shows them.
    pub(crate) const ALL: Self = Self {
        after: Some(UNIX_EPOCH),
    };

    /// A build begins, with its sources in a directory.
    pub(super) fn begin(root: &Path) -> io::Result<Self> {
        let after = match fs_err::metadata(root.join(ENDED)) {
            Ok(ended) => {
                let after = ended.modified()?;
                fs_err::remove_file(root.join(ENDED))?;
                Some(after)
            }
            // Nothing was ever built of it.
            Err(_) if !root.exists() => Some(UNIX_EPOCH),
            Err(_) => None,
        };
        Ok(Self { after })
    }

    /// The build has ended, well or not.
    pub(super) fn end(root: &Path) -> io::Result<()> {
        if root.exists() {
            fs_err::write(root.join(ENDED), "")?;
        }
        Ok(())
    }

    /// A time of the host's, in nanoseconds since the epoch, if it can be
    /// taken.
    pub(super) fn of_host(self, modified: i64) -> Option<SystemTime> {
        let modified = UNIX_EPOCH + Duration::from_nanos(u64::try_from(modified).ok()?);
        let after = self.after?;
        // The host may have another clock.
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

        // That build was killed.
        let third = Times::begin(&root).unwrap();
        assert_eq!(third.of_host(nanoseconds(ended) + 1), None);
    }
}
