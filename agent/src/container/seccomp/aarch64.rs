//! Lists the calls that 64-bit ARM numbers, or the libc crate names,
//! differently from x86-64.

/// Harmless without capabilities, with whatever arguments.
pub(super) const ALLOWED: &[i64] = &[
    number::GETRLIMIT,
    number::IO_PGETEVENTS,
    number::RENAMEAT,
    number::SETRLIMIT,
    number::SYNC_FILE_RANGE,
];

/// Need a capability, or have been a way out of containers.
pub(super) const DENIED: &[i64] = &[number::KEXEC_FILE_LOAD];

/// Calls that the libc crate lacks.
mod number {
    pub(super) const RENAMEAT: i64 = 38;
    pub(super) const SYNC_FILE_RANGE: i64 = 84;
    pub(super) const GETRLIMIT: i64 = 163;
    pub(super) const SETRLIMIT: i64 = 164;
    pub(super) const IO_PGETEVENTS: i64 = 292;
    pub(super) const KEXEC_FILE_LOAD: i64 = 294;
}
