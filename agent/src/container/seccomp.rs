//! Filters the system calls of a container's program.
//!
//! The allow list follows the default profile of Docker's engine for a
//! container without capabilities. A call that is known to be dangerous fails
//! with EPERM. An unknown call fails with ENOSYS, so that a C library falls
//! back to an older one. The filter has two parts because a filter of
//! seccompiler returns one error.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

#[cfg(target_arch = "aarch64")]
#[path = "seccomp/aarch64.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "seccomp/x86_64.rs"]
mod arch;
mod calls;

/// Flags of clone and unshare that make namespaces.
const NAMESPACE_FLAGS: [libc::c_int; 8] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
    CLONE_NEWTIME,
];
/// The libc crate lacks this flag. For clone the bit is part of the exit
/// signal, and clone makes no time namespace.
const CLONE_NEWTIME: libc::c_int = 0x80;
/// `PER_LINUX` and `PER_LINUX32`, each with and without `UNAME26`, and the
/// query.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// The ioctl commands that insert input into a terminal.
const TYPING: [u64; 2] = [0x5412, 0x541c];

/// System calls could not be filtered.
#[derive(Debug, thiserror::Error)]
pub(super) enum SeccompError {
    #[error("the filter cannot be compiled")]
    Compile(#[from] BackendError),
    #[error("the kernel refuses the filter")]
    Apply(#[from] seccompiler::Error),
}

/// Filters the system calls of this thread and its later children. Also sets
/// `no_new_privs`.
pub(super) fn apply() -> Result<(), SeccompError> {
    // If both filters return an error, that of the filter installed last
    // applies.
    seccompiler::apply_filter(&unknown_filter()?)?;
    seccompiler::apply_filter(&denied_filter()?)?;
    Ok(())
}

/// A filter that returns ENOSYS for each call that is not on the list.
fn unknown_filter() -> Result<BpfProgram, BackendError> {
    let allowed = calls::ALLOWED.iter().chain(arch::ALLOWED);
    let conditional = [
        libc::SYS_clone,
        libc::SYS_ioctl,
        libc::SYS_personality,
        libc::SYS_socket,
        libc::SYS_unshare,
    ];
    let rules = allowed.chain(&conditional).map(|call| (*call, Vec::new()));
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    compile(rules.collect(), unknown, SeccompAction::Allow)
}

/// A filter that returns EPERM for dangerous calls. Some are dangerous only
/// with some arguments.
fn denied_filter() -> Result<BpfProgram, BackendError> {
    let denied = calls::DENIED.iter().chain(arch::DENIED);
    let mut rules: BTreeMap<_, _> = denied.map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, namespace_rules(&NAMESPACE_FLAGS[..7])?);
    rules.insert(libc::SYS_unshare, namespace_rules(&NAMESPACE_FLAGS)?);
    let vsock = equal(0, u64::from(libc::AF_VSOCK.unsigned_abs()))?;
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(vec![vsock])?]);
    let other: Result<Vec<_>, _> = PERSONALITIES
        .map(|value| unequal(0, value))
        .into_iter()
        .collect();
    rules.insert(libc::SYS_personality, vec![SeccompRule::new(other?)?]);
    let typing = TYPING.map(|command| SeccompRule::new(vec![equal(1, command)?]));
    rules.insert(
        libc::SYS_ioctl,
        typing.into_iter().collect::<Result<_, _>>()?,
    );
    let denial = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    compile(rules, SeccompAction::Allow, denial)
}

/// One rule for each flag. A call matches if any rule matches.
fn namespace_rules(flags: &[libc::c_int]) -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |flag: &libc::c_int| {
        let flag = u64::from(flag.unsigned_abs());
        let set = SeccompCmpOp::MaskedEq(flag);
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, set, flag)?;
        SeccompRule::new(vec![condition])
    };
    flags.iter().map(rule).collect()
}

/// Compares 32 bits, because the kernel reads only 32 bits of these arguments.
fn equal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn unequal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    mismatch: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, mismatch, matched, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
    use std::collections::HashSet;

    use super::{arch, calls, denied_filter, unknown_filter};

    #[test]
    fn filters_compile() {
        assert!(unknown_filter().unwrap().len() > calls::ALLOWED.len());
        assert!(denied_filter().unwrap().len() > calls::DENIED.len());
    }

    #[test]
    fn no_call_is_both_allowed_and_denied() {
        let allowed: HashSet<_> = calls::ALLOWED.iter().chain(arch::ALLOWED).collect();
        let denied: HashSet<_> = calls::DENIED.iter().chain(arch::DENIED).collect();
        assert!(allowed.is_disjoint(&denied));
    }

    #[test]
    fn what_escapes_is_not_allowed() {
        let allowed: HashSet<_> = calls::ALLOWED.iter().chain(arch::ALLOWED).collect();
        for call in [libc::SYS_clone3, libc::SYS_mount, libc::SYS_io_uring_setup] {
            assert!(!allowed.contains(&call));
        }
    }
}
