//! Lists the calls that have another number or another name on 64-bit ARM than
//! on x86-64.

/// Calls that are harmless without capabilities, with any arguments.
pub(super) const ALLOWED: &[i64] = &[
    number::GETRLIMIT,
    number::IO_PGETEVENTS,
    number::RENAMEAT,
    number::SETRLIMIT,
    number::SYNC_FILE_RANGE,
];

/// Calls that need a capability, or that allowed escapes from containers.
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
