//! Explains why the kernel cannot execute a program that exists: its
//! interpreter or dynamic linker is missing. The kernel reports the same error
//! as for a missing program.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FileType, access};
use rustix::io::Errno;

/// The most bytes of a script's first line that Linux reads.
const LINE: usize = 256;
/// The most interpreters in a row that are scripts themselves.
const DEPTH: usize = 5;
/// The beginning of a 64-bit ELF program. Only these are parsed.
const MAGIC: &[u8] = b"\x7fELF\x02";
const PT_INTERP: u32 = 3;
/// Size of a program header in bytes, and the most headers to read.
const HEADER: usize = 56;
const HEADERS: u16 = 64;
/// The most bytes of a path.
const PATH_MAX: u64 = 4096;

/// The missing interpreter of a program, or of its interpreter, and the error.
/// Absent if the program itself is missing.
pub(super) fn missing(program: &str, path: &str) -> Option<(String, Errno)> {
    let mut needs = find(program, path)?;
    for _ in 0..DEPTH {
        needs = of_program(&needs).ok().flatten()?;
        if let Err(errno) = executable(&needs) {
            return Some((needs.to_string_lossy().into_owned(), errno));
        }
    }
    None
}

/// Finds a program by name. A name with a slash is a path.
fn find(program: &str, path: &str) -> Option<PathBuf> {
    let is_program = |place: &PathBuf| executable(place).is_ok();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(is_program);
    }
    let mut places = path.split(':').map(|it| Path::new(it).join(program));
    places.find(is_program)
}

fn executable(path: &Path) -> Result<(), Errno> {
    let mode = rustix::fs::stat(path)?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    access(path, Access::EXEC_OK)
}

/// The interpreter that Linux executes for a program; absent if it executes the
/// program directly.
fn of_program(path: &Path) -> io::Result<Option<PathBuf>> {
    let file = File::open(path)?;
    let mut head = [0; LINE];
    let length = file.read_at(&mut head, 0)?;
    let head = &head[..length];
    if head.starts_with(MAGIC) {
        return of_elf(&file, head);
    }
    Ok(of_script(head))
}

/// The path after `#!`, up to a blank.
fn of_script(head: &[u8]) -> Option<PathBuf> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = line.iter().position(|byte| !is_blank(byte))?;
    let name = line[start..].split(is_blank).next()?;
    Some(Path::new(std::ffi::OsStr::from_bytes(name)).to_owned())
}

/// The dynamic linker of an ELF program with this machine's byte order.
fn of_elf(file: &File, head: &[u8]) -> io::Result<Option<PathBuf>> {
    let Some((start, size, count)) = program_headers(head) else {
        return Ok(None);
    };
    for number in 0..count.min(HEADERS) {
        let mut header = [0; HEADER];
        let at = u64::from(number) * u64::from(size);
        file.read_exact_at(&mut header, start.saturating_add(at))?;
        let (kind, offset, length) = (u32_at(&header, 0), u64_at(&header, 8), u64_at(&header, 32));
        if kind == Some(PT_INTERP) {
            let (Some(offset), Some(length)) = (offset, length) else {
                return Ok(None);
            };
            let mut name = vec![0; usize::try_from(length.min(PATH_MAX)).unwrap_or(0)];
            file.read_exact_at(&mut name, offset)?;
            let end = name
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(name.len());
            return Ok(Some(
                Path::new(std::ffi::OsStr::from_bytes(&name[..end])).to_owned(),
            ));
        }
    }
    Ok(None)
}

/// Offset, entry size and count of the program headers.
fn program_headers(head: &[u8]) -> Option<(u64, u16, u16)> {
    let u16_at = |at: usize| Some(u16::from_ne_bytes(*head.get(at..)?.first_chunk()?));
    Some((u64_at(head, 32)?, u16_at(54)?, u16_at(56)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Programs(tempfile::TempDir);

    impl Programs {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// The path of a program in the test directory.
        fn path(&self, name: &str) -> String {
            self.0.path().join(name).to_str().unwrap().to_owned()
        }

        fn add(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> String {
            let path = self.path(name);
            fs_err::write(&path, content).unwrap();
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        }

        fn missing(&self, program: &str) -> Option<(String, Errno)> {
            missing(program, &format!("/nowhere:{}", self.0.path().display()))
        }
    }

    #[test]
    fn the_first_interpreter_that_is_missing_is_named() {
        let programs = Programs::new();
        programs.add("plain", "#! \t/nowhere/bash -e\necho", 0o755);
        programs.add("windows", "#!/bin/sh\r\necho\r\n", 0o755);
        programs.add("alone", "#!/nowhere/alone", 0o755);
        let inner = programs.add("inner", "#!/nowhere/inner\n", 0o755);
        programs.add("outer", format!("#!{inner}\n"), 0o755);
        programs.add("folder", "#!/tmp\n", 0o755);
        let data = programs.add("data", "", 0o644);
        programs.add("inert", format!("#!{data}\n"), 0o755);
        let at = |path: &str, errno| Some((path.to_owned(), errno));
        for (program, expected) in [
            ("plain", at("/nowhere/bash", Errno::NOENT)),
            ("windows", at("/bin/sh\r", Errno::NOENT)),
            ("alone", at("/nowhere/alone", Errno::NOENT)),
            ("outer", at("/nowhere/inner", Errno::NOENT)),
            ("folder", at("/tmp", Errno::ACCESS)),
            ("inert", at(&data, Errno::ACCESS)),
            // A missing file, or one that is not a program, has no interpreter.
            ("absent", None),
            ("data", None),
        ] {
            assert_eq!(programs.missing(program), expected, "{program}");
            assert_eq!(
                programs.missing(&programs.path(program)),
                expected,
                "{program}"
            );
        }
    }

    #[test]
    fn a_program_names_its_dynamic_linker() {
        let programs = Programs::new();
        let linker = of_program(Path::new("/bin/sh")).unwrap().unwrap();
        let program = fs_err::read("/bin/sh").unwrap();
        assert!(executable(&linker).is_ok());
        let name = linker.as_os_str().as_bytes();
        let place = program
            .windows(name.len())
            .position(|it| it == name)
            .unwrap();
        let mut foreign = program;
        foreign[place..place + 5].copy_from_slice(b"/none");
        programs.add("foreign", &foreign, 0o755);
        let (needs, errno) = programs.missing("foreign").unwrap();
        assert!(needs.starts_with("/none"), "{needs}");
        assert_eq!(errno, Errno::NOENT);
        assert_eq!(programs.missing("/bin/sh"), None);
        // Malformed headers only end the search.
        for length in [5, 60, 64, 100] {
            programs.add("cut", &foreign[..length], 0o755);
            assert_eq!(programs.missing("cut"), None);
        }
    }
}
