//! Maps WSL's error codes. A code is the last part of `Wsl/…/CODE`: a name, or
//! the number of an `HRESULT` that WSL has no name for. wslservice.idl lists
//! most of them.

/// An error of WSL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    DistributionNotFound,
    DistributionExists,
    UserNotFound,
    PlatformMissing,
    ComponentMissing,
    VirtualisationOff,
    SystemTooOld,
    OutOfDate,
    DiskCorrupted,
    DiskFull,
    FileMissing,
    DiskInUse,
    Crashed,
    Timeout,
    NotAllowed,
    SystemAccount,
    VersionOneOnly,
    Network,
    Other,
}

impl Code {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "WSL_E_DISTRO_NOT_FOUND"
            | "WSL_E_DEFAULT_DISTRO_NOT_FOUND"
            | "0x80040301"
            | "0x80040302" => Self::DistributionNotFound,
            "ERROR_ALREADY_EXISTS" | "ERROR_FILE_EXISTS" | "0x800700b7" | "0x80070050" => {
                Self::DistributionExists
            }
            "WSL_E_USER_NOT_FOUND" | "0x80040308" => Self::UserNotFound,
            "WSL_E_VIRTUAL_MACHINE_PLATFORM_REQUIRED" | "0x8004032d" => Self::PlatformMissing,
            "WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED" | "0x8004031e" | "0x8000ffff" => {
                Self::ComponentMissing
            }
            "HCS_E_HYPERV_NOT_INSTALLED" | "0x80370102" | "0x80370114" => Self::VirtualisationOff,
            "WSL_E_OS_NOT_SUPPORTED" | "0x80040327" => Self::SystemTooOld,
            "REGDB_E_CLASSNOTREG" | "0x80040154" | "E_NOTIMPL" | "0x80004001" | "E_INVALIDARG" => {
                Self::OutOfDate
            }
            "WSL_E_DISK_CORRUPTED" | "0x8004032f" => Self::DiskCorrupted,
            "ERROR_DISK_FULL" | "0x80070070" | "0x80070027" => Self::DiskFull,
            "ERROR_FILE_NOT_FOUND" | "ERROR_PATH_NOT_FOUND" | "0x80070002" | "0x80070003" => {
                Self::FileMissing
            }
            "ERROR_SHARING_VIOLATION" | "WSL_E_USER_VHD_ALREADY_ATTACHED" | "0x80070020" => {
                Self::DiskInUse
            }
            "WSL_E_VM_CRASHED" | "0x80040332" | "E_UNEXPECTED" => Self::Crashed,
            "HCS_E_CONNECTION_TIMEOUT" | "0x80370109" => Self::Timeout,
            "E_ACCESSDENIED" | "ERROR_ACCESS_DISABLED_BY_POLICY" | "0x80070005" => Self::NotAllowed,
            "WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED" | "0x8004032e" => Self::SystemAccount,
            "WSL_E_WSL2_NEEDED" | "0x80040318" => Self::VersionOneOnly,
            "WSL_E_VMSWITCH_NOT_FOUND" | "WSL_E_VMSWITCH_NOT_SET" | "0x80040324" | "0x80040325" => {
                Self::Network
            }
            _ => Self::Other,
        }
    }

    /// Returns the hint for the error.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::DistributionNotFound => "`locald vm start` makes the machine",
            Self::DistributionExists | Self::UserNotFound | Self::DiskCorrupted => {
                "`locald vm reset` removes the machine, and the next command makes it anew"
            }
            Self::PlatformMissing | Self::ComponentMissing => {
                "as administrator: `wsl --install --no-distribution`; then restart Windows"
            }
            Self::VirtualisationOff => {
                "turn virtualisation on in the firmware's settings; if it is on, as administrator: `bcdedit /set hypervisorlaunchtype auto`; then restart Windows"
            }
            Self::SystemTooOld => "WSL2 needs Windows 10 of build 19041 or newer: update Windows",
            Self::OutOfDate => "`wsl --update`",
            Self::DiskFull => "make space on the drive, or remove images by `locald image rm`",
            Self::FileMissing => {
                "if the machine's disk was deleted: `locald vm reset`; else unpack the archive of locald again"
            }
            Self::DiskInUse => "end what has the machine's disk open, such as a backup",
            Self::Crashed => {
                "try again; if it comes back: `wsl --update`, and more memory in .wslconfig"
            }
            Self::Timeout => {
                "`locald vm restart --force`; if that does not help, as administrator: `Restart-Service WSLService`"
            }
            Self::NotAllowed => {
                "WSL is not allowed for this user, or the machine's folder not writable: ask who looks after this computer"
            }
            Self::SystemAccount => "WSL does not work for the system's account: use a user's",
            Self::VersionOneOnly => "`wsl --set-version locald 2`, or `locald vm reset`",
            Self::Network => "remove networkingMode and vmSwitch from .wslconfig, or mend them",
            Self::Other => "`wsl --update`, and `locald vm doctor`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_mean_the_same() {
        let pairs = [
            ("WSL_E_DISTRO_NOT_FOUND", "0x80040302"),
            ("WSL_E_USER_NOT_FOUND", "0x80040308"),
            ("WSL_E_VIRTUAL_MACHINE_PLATFORM_REQUIRED", "0x8004032d"),
            ("WSL_E_DISK_CORRUPTED", "0x8004032f"),
            ("WSL_E_VM_CRASHED", "0x80040332"),
            ("HCS_E_HYPERV_NOT_INSTALLED", "0x80370102"),
            ("ERROR_DISK_FULL", "0x80070070"),
        ];
        for (name, number) in pairs {
            assert_ne!(Code::of(name), Code::Other, "{name}");
            assert_eq!(Code::of(name), Code::of(number), "{name}");
        }
        assert_eq!(Code::of("0x12345678"), Code::Other);
    }
}
