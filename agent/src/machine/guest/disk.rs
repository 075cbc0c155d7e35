//! Mounts the data disk of a guest. Makes its file system at the first use, and
//! grows it after the host has enlarged the disk.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::Command;

use rustix::mount::{MountFlags, mount as mount_file_system};

use super::{Failed, Step, files};

const DEVICE: &str = "/dev/vda";
/// The offset of the superblock in bytes, and of its fields: Linux,
/// Documentation/filesystems/ext4.
const SUPERBLOCK_AT: u64 = 1024;
const SUPERBLOCK: usize = 1024;
const BLOCKS: usize = 4;
const LOG_BLOCK_SIZE: usize = 24;
const MAGIC: usize = 56;
/// A smaller difference in bytes may come from rounding.
const WORTH_GROWING: u64 = 64 * 1024 * 1024;

/// Mounts the data disk.
pub(super) fn mount(target: &Path) -> Result<(), Failed> {
    let read = || format!("read {DEVICE}");
    let size = fs_err::File::open(DEVICE).and_then(|mut disk| disk.seek(SeekFrom::End(0)));
    let size = size.step(read)?;
    let used = file_system_size().step(read)?;
    if used.is_none() {
        files::say("formatting the data disk");
        format().step(|| format!("make a file system on {DEVICE}"))?;
    }
    // The initialisation of unused inode tables would make the disk's file
    // large.
    let options = Some(c"noinit_itable");
    mount_file_system(DEVICE, target, "ext4", MountFlags::NOATIME, options)
        .step(|| format!("mount {DEVICE}"))?;
    if used.is_some_and(|used| used + WORTH_GROWING < size)
        && let Err(error) = run("/sbin/resize2fs", &[DEVICE])
    {
        files::say(&format!("the data disk stays as small as it is: {error}"));
    }
    Ok(())
}

/// The size of the file system in bytes; absent if there is none.
fn file_system_size() -> io::Result<Option<u64>> {
    let mut device = fs_err::File::open(DEVICE)?;
    device.seek(SeekFrom::Start(SUPERBLOCK_AT))?;
    let mut superblock = [0; SUPERBLOCK];
    device.read_exact(&mut superblock)?;
    Ok(size_in(&superblock))
}

fn size_in(superblock: &[u8; SUPERBLOCK]) -> Option<u64> {
    let word = |at: usize| {
        let bytes = [0, 1, 2, 3].map(|offset| superblock[at + offset]);
        u32::from_le_bytes(bytes)
    };
    let is_ext4 = superblock[MAGIC..MAGIC + 2] == [0x53, 0xef];
    let block = 1024_u64.checked_shl(word(LOG_BLOCK_SIZE))?;
    is_ext4.then(|| u64::from(word(BLOCKS)).saturating_mul(block))
}

fn format() -> io::Result<()> {
    let options = "nodiscard,lazy_itable_init=1,lazy_journal_init=1";
    let arguments = ["-q", "-F", "-m", "0", "-L", "locald", "-E", options, DEVICE];
    run("/sbin/mkfs.ext4", &arguments)
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_known_by_its_superblock() {
        let mut superblock = [0; SUPERBLOCK];
        assert_eq!(size_in(&superblock), None);
        superblock[MAGIC..MAGIC + 2].copy_from_slice(&[0x53, 0xef]);
        superblock[LOG_BLOCK_SIZE] = 2;
        superblock[BLOCKS + 1] = 1;
        assert_eq!(size_in(&superblock), Some(256 * 4096));
    }
}
