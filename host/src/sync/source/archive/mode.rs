//! Reads the kind, the permission bits and the time of an archive's entry.
//!
//! Modes are those of pack. Windows and most tools for Java write archives
//! without modes. Every user may read, write and execute the files of such an
//! archive.

use jiff::civil;
use jiff::tz::TimeZone;
use zip::System;
use zip::read::ZipFileEntry;

/// Permission bits that allow everything.
const ALL: u16 = 0o777;
/// Info-ZIP's number of NTFS. Files of such an archive are not executable.
const NTFS: System = System::MVS;
/// The read-only attribute of MS-DOS.
const READ_ONLY: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Link,
    /// A device, a socket or a FIFO.
    Other,
}

/// Returns the kind of an entry, and its permission bits.
pub(super) fn of(entry: &ZipFileEntry) -> (Kind, u16) {
    let is_named_folder = entry.name_raw().ends_with(b"/");
    let folder_or_file = if is_named_folder {
        Kind::Directory
    } else {
        Kind::File
    };
    let attributes = entry.external_attributes();
    let unix = attributes >> 16;
    match entry.system() {
        System::Unix | System::OsDarwin if unix != 0 => {
            let kind = match unix & 0o170_000 {
                _ if is_named_folder => Kind::Directory,
                0o040_000 => Kind::Directory,
                0o120_000 => Kind::Link,
                0 | 0o100_000 => Kind::File,
                _ => Kind::Other,
            };
            (kind, u16::try_from(unix & 0o777).unwrap_or(ALL))
        }
        NTFS => {
            let all = if is_named_folder { ALL } else { 0o666 };
            let taken = if attributes & READ_ONLY == 0 {
                0
            } else {
                0o222
            };
            (folder_or_file, all & !taken)
        }
        _ => (folder_or_file, ALL),
    }
}

/// Returns the modification time in nanoseconds since the epoch. Archives have
/// no time zone. locald assumes UTC, so that all hosts agree.
pub(super) fn modified(entry: &ZipFileEntry) -> i64 {
    let time = entry.last_modified().and_then(|time| {
        let (date, clock) = (
            [time.month(), time.day()],
            [time.hour(), time.minute(), time.second()],
        );
        let [month, day] = date.map(|part| i8::try_from(part).unwrap_or(-1));
        let [hour, minute, second] = clock.map(|part| i8::try_from(part).unwrap_or(-1));
        let date = civil::Date::new(i16::try_from(time.year()).ok()?, month, day);
        let clock = civil::Time::new(hour, minute, second.min(59), 0);
        let time = date.ok()?.to_datetime(clock.ok()?);
        let time = TimeZone::UTC.to_timestamp(time).ok()?;
        i64::try_from(time.as_nanosecond()).ok()
    });
    time.unwrap_or_default()
}
