//! Determines why a machine refuses user namespaces.

use std::fmt;
use std::io;

use rustix::io::Errno;

const CLONE_SWITCH: &str = "/proc/sys/kernel/unprivileged_userns_clone";
const APPARMOR_SWITCH: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
const LIMIT: &str = "/proc/sys/user/max_user_namespaces";

/// The reason why a machine refuses a user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Debian's sysctl `kernel.unprivileged_userns_clone` is 0.
    CloneSwitch,
    /// AppArmor permits it only to programs with a profile (Ubuntu 24.04).
    AppArmor,
    /// The limit of user namespaces is 0, or is reached.
    Limit,
    /// The kernel does not support them.
    Kernel,
    /// A seccomp filter, such as that of an ordinary container, or another
    /// policy.
    Policy,
}

impl Cause {
    /// Determines the reason from the error and the machine's settings.
    pub fn find(error: &io::Error) -> Self {
        Self::judge(
            error.raw_os_error().map(Errno::from_raw_os_error),
            |switch| {
                let value = fs_err::read_to_string(switch).ok()?;
                value.trim().parse().ok()
            },
        )
    }

    fn judge(error: Option<Errno>, read: impl Fn(&str) -> Option<u64>) -> Self {
        if read(CLONE_SWITCH) == Some(0) {
            Self::CloneSwitch
        } else if read(LIMIT) == Some(0) || matches!(error, Some(Errno::NOSPC | Errno::USERS)) {
            Self::Limit
        } else if read(APPARMOR_SWITCH) == Some(1) {
            Self::AppArmor
        } else if matches!(error, Some(Errno::NOSYS | Errno::INVAL)) {
            Self::Kernel
        } else {
            Self::Policy
        }
    }

    /// The remedy: a command if there is one.
    pub fn remedy(self) -> String {
        match self {
            Self::CloneSwitch => "sudo sysctl -w kernel.unprivileged_userns_clone=1".to_owned(),
            Self::Limit => "sudo sysctl -w user.max_user_namespaces=15000".to_owned(),
            Self::AppArmor => apparmor_remedy(),
            Self::Kernel => "use a kernel with CONFIG_USER_NS=y".to_owned(),
            Self::Policy => {
                "run locald outside of a container, or in one that may unshare".to_owned()
            }
        }
    }
}

/// A profile for this program is enough. The sysctl would permit it to all
/// programs.
fn apparmor_remedy() -> String {
    let program = std::env::current_exe().map_or_else(
        |_| "/usr/bin/locald".to_owned(),
        |path| path.display().to_string(),
    );
    format!(
        "printf 'abi <abi/4.0>,\\nprofile locald \"{program}\" flags=(unconfined) {{ userns, }}\\n' \
         | sudo tee /etc/apparmor.d/locald && sudo apparmor_parser -r /etc/apparmor.d/locald"
    )
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CloneSwitch => "kernel.unprivileged_userns_clone is 0",
            Self::AppArmor => "kernel.apparmor_restrict_unprivileged_userns is 1",
            Self::Limit => "user.max_user_namespaces is reached",
            Self::Kernel => "the kernel has none",
            Self::Policy => "a security policy forbids it",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{APPARMOR_SWITCH, CLONE_SWITCH, Cause, LIMIT};
    use rustix::io::Errno;

    fn judged(error: Errno, switches: &[(&str, u64)]) -> Cause {
        Cause::judge(Some(error), |wanted| {
            let found = switches.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| *value)
        })
    }

    #[test]
    fn each_switch_is_named() {
        assert_eq!(
            judged(Errno::PERM, &[(CLONE_SWITCH, 0), (LIMIT, 100)]),
            Cause::CloneSwitch
        );
        assert_eq!(judged(Errno::NOSPC, &[(LIMIT, 0)]), Cause::Limit);
        assert_eq!(
            judged(Errno::PERM, &[(LIMIT, 100), (APPARMOR_SWITCH, 1)]),
            Cause::AppArmor
        );
        assert_eq!(judged(Errno::INVAL, &[]), Cause::Kernel);
        assert_eq!(
            judged(Errno::PERM, &[(CLONE_SWITCH, 1), (APPARMOR_SWITCH, 0)]),
            Cause::Policy
        );
    }

    #[test]
    fn an_exhausted_limit_is_told_from_apparmor() {
        let switches = [(LIMIT, 100), (APPARMOR_SWITCH, 1)];
        assert_eq!(judged(Errno::NOSPC, &switches), Cause::Limit);
    }
}
