//! Parses the dynamic section of ELF files, 64 bits, little endian, for the
//! shared libraries that a program needs.

/// The input of the dynamic loader. Empty for a static program, and for a file
/// that is not ELF.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Linked {
    /// The names of all needed libraries.
    pub(crate) needed: Vec<String>,
    /// Directories that the loader searches first.
    pub(crate) searched: Vec<String>,
}

impl Linked {
    /// Parses the content of a file.
    pub(crate) fn of(file: &[u8]) -> Self {
        read(file).unwrap_or_default()
    }
}

/// Whether a library belongs to the C library or to its compiler. Every image
/// has these, and copies from another image would not fit.
pub(crate) fn is_of_c_library(name: &str) -> bool {
    let families = [
        "libc.so.",
        "libm.so.",
        "libgcc_s.so.",
        "libpthread.so.",
        "libdl.so.",
        "librt.so.",
        "libutil.so.",
        "libresolv.so.",
        "ld-linux",
    ];
    families.iter().any(|family| name.starts_with(family))
}

const LOAD: u64 = 1;
const DYNAMIC: u64 = 2;
const TAG_NEEDED: u64 = 1;
const TAG_STRINGS: u64 = 5;
const TAG_RPATH: u64 = 15;
const TAG_RUNPATH: u64 = 29;

/// A segment of the file that is mapped into memory.
struct Segment {
    offset: u64,
    address: u64,
    size: u64,
}

fn read(file: &[u8]) -> Option<Linked> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (loads, dynamic) = segments(file)?;
    let (mut names, mut paths, mut strings) = (Vec::new(), Vec::new(), None);
    for index in 0..dynamic.size / 16 {
        let entry = dynamic.offset.checked_add(index * 16)?;
        let value = number(file, entry.checked_add(8)?, 8)?;
        match number(file, entry, 8)? {
            0 => break,
            TAG_NEEDED => names.push(value),
            TAG_RPATH | TAG_RUNPATH => paths.push(value),
            TAG_STRINGS => strings = Some(value),
            _ => {}
        }
    }
    let strings = strings?;
    let is_in = |it: &&Segment| (it.address..it.address.saturating_add(it.size)).contains(&strings);
    let load = loads.iter().find(is_in)?;
    let strings = (strings - load.address).checked_add(load.offset)?;
    let text = |at: u64| text(file, strings.checked_add(at)?);
    let paths: Vec<String> = paths.into_iter().map(text).collect::<Option<_>>()?;
    let paths = paths.iter().flat_map(|path| path.split(':'));
    Some(Linked {
        needed: names.into_iter().map(text).collect::<Option<_>>()?,
        searched: paths.map(str::to_owned).collect(),
    })
}

/// The mapped segments, and the dynamic section.
fn segments(file: &[u8]) -> Option<(Vec<Segment>, Segment)> {
    let (mut loads, mut dynamic) = (Vec::new(), None);
    let (start, size, count) = (
        number(file, 32, 8)?,
        number(file, 54, 2)?,
        number(file, 56, 2)?,
    );
    for index in 0..count {
        let header = start.checked_add(index.checked_mul(size)?)?;
        let segment = Segment {
            offset: number(file, header.checked_add(8)?, 8)?,
            address: number(file, header.checked_add(16)?, 8)?,
            size: number(file, header.checked_add(32)?, 8)?,
        };
        match number(file, header, 4)? {
            LOAD => loads.push(segment),
            DYNAMIC => dynamic = Some(segment),
            _ => {}
        }
    }
    Some((loads, dynamic?))
}

fn number(file: &[u8], at: u64, size: usize) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    let bytes = file.get(at..at.checked_add(size)?)?;
    let digit = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
    Some(bytes.iter().rev().fold(0, digit))
}

fn text(file: &[u8], at: u64) -> Option<String> {
    let rest = file.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn this_program_needs_the_c_library() {
        let own = fs_err::read(std::env::current_exe().unwrap()).unwrap();
        let Linked { needed, .. } = Linked::of(&own);
        assert!(
            needed.iter().any(|name| name.starts_with("libc.so")),
            "{needed:?}"
        );
    }

    #[test]
    fn damaged_files_need_nothing() {
        let own = fs_err::read(std::env::current_exe().unwrap()).unwrap();
        for length in [0, 3, 63, 64, 200, 1000] {
            let _ = Linked::of(&own[..length]);
        }
        let mut broken = own[..4096].to_vec();
        broken[32..40].fill(0xff);
        assert_eq!(Linked::of(&broken), Linked::default());
    }
}
