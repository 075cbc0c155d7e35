//! Identifies the builds of locald's own programs. The name of such a build is
//! `locald/VERSION+ID`: the version of its package, and the start of the build
//! id that the linker puts into an ELF file. Two programs whose builds have the
//! same name are the same program.

/// The build of this package's programs.
const PREFIX: &str = concat!("locald/", env!("CARGO_PKG_VERSION"));
/// Bytes of a build id that are shown: hello has room for no more.
const SHOWN: usize = 10;
/// `e_type` to `e_phnum` of a 64-bit file.
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const NOTE_SEGMENT: u32 = 4;
const BUILD_ID_NOTE: u32 = 3;

/// The architecture of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `x86_64`
    X86_64,
    /// `aarch64`
    Aarch64,
}

impl Architecture {
    /// The architectures that locald is built for.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Returns the name, as `uname -m` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Returns the architecture of this program.
    pub const fn own() -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::Aarch64
        } else {
            Self::X86_64
        }
    }

    /// Finds an architecture by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Returns `locald/VERSION`, the name for a program whose file is not known.
pub fn of_version() -> String {
    PREFIX.to_owned()
}

/// Returns the name of the build of an ELF file of this version. `start` is the
/// start of the file, with at least its headers and notes. Returns `None` if it
/// has no build id.
pub fn of_program(start: &[u8]) -> Option<String> {
    let id = notes(start)?.into_iter().find_map(gnu_build_id)?;
    let digits = id.iter().take(SHOWN).map(|byte| format!("{byte:02x}"));
    Some(format!("{PREFIX}+{}", digits.collect::<String>()))
}

/// Returns the architecture of an ELF file, by its header. Returns `None` for
/// another file or architecture.
pub fn architecture(start: &[u8]) -> Option<Architecture> {
    match (is_elf(start), u16_at(start, 18)?) {
        (true, 62) => Some(Architecture::X86_64),
        (true, 183) => Some(Architecture::Aarch64),
        _ => None,
    }
}

/// 64 bits, little endian.
fn is_elf(start: &[u8]) -> bool {
    start.len() >= HEADER && start.starts_with(b"\x7fELF\x02\x01")
}

/// The contents of all note segments.
fn notes(start: &[u8]) -> Option<Vec<&[u8]>> {
    if !is_elf(start) {
        return None;
    }
    let table = usize::try_from(u64_at(start, 32)?).ok()?;
    let count = usize::from(u16_at(start, 56)?);
    let mut found = Vec::new();
    for number in 0..count {
        let at = table.checked_add(number * PROGRAM_HEADER)?;
        if u32_at(start, at)? != NOTE_SEGMENT {
            continue;
        }
        let offset = usize::try_from(u64_at(start, at.checked_add(8)?)?).ok()?;
        let size = usize::try_from(u64_at(start, at.checked_add(32)?)?).ok()?;
        found.extend(start.get(offset..offset.checked_add(size)?));
    }
    Some(found)
}

/// The build id in a note segment: notes one after another, each a name and
/// a description, padded to four bytes.
fn gnu_build_id(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let (name, description) = (u32_at(notes, 0)?, u32_at(notes, 4)?);
        let kind = u32_at(notes, 8)?;
        let (name, description) = (
            usize::try_from(name).ok()?,
            usize::try_from(description).ok()?,
        );
        let begin = 12_usize.checked_add(name.checked_next_multiple_of(4)?)?;
        let end = begin.checked_add(description)?;
        let text = notes.get(12..12_usize.checked_add(name)?)?;
        if kind == BUILD_ID_NOTE && text == b"GNU\0" {
            return notes.get(begin..end);
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// A file of two notes, the second of which is the build id.
    fn file() -> Vec<u8> {
        let mut file = vec![0; HEADER + PROGRAM_HEADER];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18] = 183;
        file[32] = 64;
        file[56] = 1;
        file[HEADER] = 4;
        file[HEADER + 8] = 120;
        file[HEADER + 32] = 40;
        file.extend(
            [
                &[4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0][..],
                b"GNU\0",
                &[9, 0, 0, 0],
            ]
            .concat(),
        );
        file.extend(
            [
                &[4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0][..],
                b"GNU\0",
                &[0xab; 4],
            ]
            .concat(),
        );
        file
    }

    #[test]
    fn a_build_is_named_by_version_and_build_id() {
        let name = of_program(&file()).unwrap();
        assert_eq!(name, format!("{}+abababab", of_version()));
        assert_eq!(architecture(&file()), Some(Architecture::Aarch64));
    }

    #[test]
    fn a_name_fits_into_hello() {
        let mut file = file();
        let end = file.len() - 4;
        file.truncate(end);
        file.extend([0xcd; 20]);
        file[HEADER + 32] += 16;
        file[HEADER + PROGRAM_HEADER + 20 + 4] = 20;
        let name = of_program(&file).unwrap();
        assert_eq!(name, format!("{}+{}", of_version(), "cd".repeat(SHOWN)));
        assert!(name.len() <= 40, "{name}");
    }

    #[test]
    fn what_is_no_program_has_no_name() {
        let file = file();
        for length in 0..file.len() {
            assert_eq!(of_program(&file[..length]), None, "{length}");
        }
        assert_eq!(of_program(b"#!/bin/sh\n"), None);
        let mut huge = file.clone();
        huge[HEADER + 8..HEADER + 16].fill(0xff);
        assert_eq!(of_program(&huge), None);
    }
}
