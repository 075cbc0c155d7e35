//! Formats sizes, times and digests.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Formats bytes in decimal units: `0 B`, `999 B`, `1.5 kB`, `61 MB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    // Tenths of the unit, rounded. Integers are exact here.
    let mut tenths = count.saturating_add(50) / 100;
    let mut unit = 0;
    while tenths >= 9_995 && unit + 1 < UNITS.len() {
        tenths = (tenths + 500) / 1000;
        unit += 1;
    }
    let name = UNITS[unit];
    if tenths < 100 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", (tenths + 5) / 10)
    }
}

/// Formats a count: `1 layer`, `2 layers`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{ending}")
}

/// Formats a measured time: `0.03 s`, `1.2 s`, `2 min 3 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 {
        return format!("{} min {} s", seconds / 60, seconds % 60);
    }
    if seconds == 0 {
        return format!("{:.2} s", time.as_secs_f64());
    }
    format!("{:.1} s", time.as_secs_f64())
}

/// Formats an estimated time: `8 s`, `2 min 3 s`, `3 h 20 min`.
pub(super) fn whole_seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// Formats an age in seconds: `now`, `5 min`, `3 h`, `12 d`.
pub(crate) fn age(seconds: u64) -> String {
    match seconds {
        0..60 => "now".to_owned(),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Shortens a digest to twelve digits: `sha256:0123456789ab`.
pub(crate) fn short_digest(digest: &str) -> String {
    let digits = digest.find(':').map_or(0, |colon| colon + 1) + 12;
    digest.chars().take(digits).collect()
}

/// Shortens the digest in a reference, as [`short_digest`] does.
pub(super) fn short_name(image: &str) -> String {
    match image.split_once('@') {
        Some((name, digest)) => format!("{name}@{}", short_digest(digest)),
        None => image.to_owned(),
    }
}

/// Returns the seconds since the epoch.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits_or_more() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_549, "1.5 kB"),
            (9_960, "10 kB"),
            (61_400_000, "61 MB"),
            (999_400, "999 kB"),
            (999_960, "1.0 MB"),
            (1_230_000_000, "1.2 GB"),
            (u64::MAX, "18447 PB"),
        ];
        for (count, expected) in cases {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn times_are_short() {
        assert_eq!(duration(Duration::from_millis(34)), "0.03 s");
        assert_eq!(duration(Duration::from_millis(1_234)), "1.2 s");
        assert_eq!(duration(Duration::from_secs(123)), "2 min 3 s");
        assert_eq!(age(59), "now");
        assert_eq!(age(7_300), "2 h");
        assert_eq!(age(200_000), "2 d");
    }

    #[test]
    fn digests_are_cut() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(short_digest(&digest), "sha256:0123456789ab");
        assert_eq!(short_digest(""), "");
        assert_eq!(short_name("shop"), "shop");
        assert_eq!(short_name(&format!("a@{digest}")), "a@sha256:0123456789ab");
    }
}
