//! Installs Debian and Ubuntu packages for the build only, without root. apt
//! works on lists of its own, and the packages are unpacked into the cache.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::cache::Cache;
use crate::http::hex;
use crate::output;

/// The file that records which packages a directory contains.
const STAMP: &str = "packages";

/// Packages could not be installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AptError {
    #[error("the builder has no {0}, which installs packages")]
    NoProgram(&'static str),
    #[error("{0:?} is no name of a package")]
    Name(String),
    #[error("{step} has failed: {said}")]
    Failed { step: &'static str, said: String },
    #[error("packages cannot be written")]
    Write(#[source] std::io::Error),
}

impl AptError {
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoProgram(_) => "BP_APT_PACKAGES needs a builder of Debian or Ubuntu",
            Self::Failed { .. } => "check the names in BP_APT_PACKAGES, and the network",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// A directory with unpacked packages.
#[derive(Debug, Default)]
pub(crate) struct Packages {
    root: Option<PathBuf>,
}

/// Installs packages and their dependencies, unless they are in the cache.
pub(crate) fn install(names: &[String], cache: &Cache) -> Result<Packages, AptError> {
    if names.is_empty() {
        return Ok(Packages::default());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.:=~".contains(&byte);
    let odd = |name: &&String| name.starts_with('-') || !name.bytes().all(plain);
    if let Some(name) = names.iter().find(odd) {
        return Err(AptError::Name(name.clone()));
    }
    let root = cache.path("apt");
    let stamp = stamp(names);
    if fs_err::read_to_string(root.join(STAMP)).is_ok_and(|it| it == stamp) {
        output::step(&format!("Packages of the cache: {}", names.join(" ")));
    } else {
        output::step(&format!("Installing {} for the build", names.join(" ")));
        let made = || {
            if root.exists() {
                fs_err::remove_dir_all(&root)?;
            }
            fs_err::create_dir_all(&root)
        };
        made().map_err(AptError::Write)?;
        Apt::new(&root.join("state"))?.unpack(names, &root.join("root"))?;
        relocate(&root.join("root")).map_err(AptError::Write)?;
        let _ = fs_err::remove_dir_all(root.join("state"));
        fs_err::write(root.join(STAMP), stamp).map_err(AptError::Write)?;
    }
    let root = Some(root.join("root"));
    Ok(Packages { root })
}

/// The content of the stamp. It includes the image, because the same names may
/// mean other packages in another image.
fn stamp(names: &[String]) -> String {
    let image = fs_err::read("/var/lib/dpkg/status").unwrap_or_default();
    let digest = hex(&Sha256::digest(image));
    format!("{digest} {}", names.join(" "))
}

/// An apt with lists and state of its own.
struct Apt {
    options: Vec<String>,
    archives: PathBuf,
}

impl Apt {
    fn new(state: &Path) -> Result<Self, AptError> {
        let (lists, archives) = (state.join("lists"), state.join("archives"));
        for directory in [lists.join("partial"), archives.join("partial")] {
            fs_err::create_dir_all(directory).map_err(AptError::Write)?;
        }
        let settings = [
            format!("Dir::State::Lists={}", lists.display()),
            format!("Dir::Cache={}", state.display()),
            format!("Dir::Cache::Archives={}", archives.display()),
            "Dir::State::Status=/var/lib/dpkg/status".to_owned(),
            "Dir::Log=/dev/null".to_owned(),
            "Debug::NoLocking=true".to_owned(),
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        let options = settings.into_iter().flat_map(|it| ["-o".to_owned(), it]);
        Ok(Self {
            options: options.collect(),
            archives,
        })
    }

    fn unpack(&self, names: &[String], root: &Path) -> Result<(), AptError> {
        self.get("apt-get update", &["update", "--error-on=any"], &[])?;
        let install = [
            "install",
            "--download-only",
            "--yes",
            "--no-install-recommends",
        ];
        self.get("apt-get install", &install, names)?;
        fs_err::create_dir_all(root).map_err(AptError::Write)?;
        for entry in fs_err::read_dir(&self.archives).map_err(AptError::Write)? {
            let package = entry.map_err(AptError::Write)?.path();
            if package.extension() == Some(OsStr::new("deb")) {
                let mut command = Command::new("dpkg-deb");
                command.arg("--extract").arg(&package).arg(root);
                run(command, "dpkg-deb", "dpkg-deb")?;
            }
        }
        Ok(())
    }

    fn get(&self, step: &'static str, words: &[&str], names: &[String]) -> Result<(), AptError> {
        let mut command = Command::new("apt-get");
        command
            .args(&self.options)
            .arg("--quiet")
            .args(words)
            .args(names);
        run(command, "apt-get", step)
    }
}

fn run(mut command: Command, program: &'static str, step: &'static str) -> Result<(), AptError> {
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => AptError::NoProgram(program),
        _ => AptError::Write(error),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("E:")).collect();
    let said = if lines.is_empty() {
        said.trim().to_owned()
    } else {
        lines.join(" ")
    };
    Err(AptError::Failed { step, said })
}

/// Changes the paths in pkg-config's files to the directory of the packages.
fn relocate(root: &Path) -> std::io::Result<()> {
    for directory in pkg_config(root) {
        for entry in fs_err::read_dir(directory)? {
            let path = entry?.path();
            if path.extension() == Some(OsStr::new("pc")) && path.is_file() {
                let text = relocated(&fs_err::read_to_string(&path)?, root);
                fs_err::remove_file(&path)?;
                fs_err::write(&path, text)?;
            }
        }
    }
    Ok(())
}

/// Changes the variables of a file that begin with `/usr`.
fn relocated(text: &str, root: &Path) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((name, value)) if value.starts_with("/usr") => {
            format!("{name}={}{value}\n", root.display())
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Debian's name of this architecture.
fn triplet() -> String {
    format!("{}-linux-gnu", std::env::consts::ARCH)
}

/// The directories of shared libraries.
fn places() -> [String; 4] {
    [
        format!("usr/lib/{}", triplet()),
        format!("lib/{}", triplet()),
        "usr/lib".to_owned(),
        "lib".to_owned(),
    ]
}

fn existing(root: &Path, names: &[String]) -> Vec<PathBuf> {
    let paths = names.iter().map(|name| root.join(name));
    paths.filter(|path| path.is_dir()).collect()
}

fn pkg_config(root: &Path) -> Vec<PathBuf> {
    let names = [
        format!("usr/lib/{}/pkgconfig", triplet()),
        "usr/lib/pkgconfig".to_owned(),
        "usr/share/pkgconfig".to_owned(),
    ];
    existing(root, &names)
}

impl Packages {
    /// The packages that are unpacked in a directory.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        let root = Some(root.to_owned());
        Self { root }
    }

    /// The directories of their shared libraries.
    pub(crate) fn libraries(&self) -> Vec<PathBuf> {
        let root = self.root.as_ref();
        root.map(|root| existing(root, &places()))
            .unwrap_or_default()
    }

    /// The directories of their shared libraries, and those of the builder.
    pub(crate) fn all_libraries(&self) -> Vec<PathBuf> {
        let mut libraries = self.libraries();
        libraries.extend(existing(Path::new("/"), &places()));
        libraries
    }

    /// Search paths of compilers, linkers and pkg-config, by variable.
    pub(crate) fn search_paths(&self) -> [(&'static str, Vec<PathBuf>); 5] {
        let programs = ["usr/local/bin", "usr/bin", "usr/sbin", "bin"].map(str::to_owned);
        let headers = [
            format!("usr/include/{}", triplet()),
            "usr/include".to_owned(),
        ];
        let below = |names: &[String]| {
            let root = self.root.as_ref();
            root.map(|root| existing(root, names)).unwrap_or_default()
        };
        let root = self.root.as_ref();
        [
            ("PATH", below(&programs)),
            ("CPATH", below(&headers)),
            ("LIBRARY_PATH", self.libraries()),
            ("LD_LIBRARY_PATH", self.libraries()),
            (
                "PKG_CONFIG_PATH",
                root.map(|root| pkg_config(root)).unwrap_or_default(),
            ),
        ]
    }

    /// The same as variables. Each path precedes the current value.
    pub(crate) fn variables(&self) -> Vec<(OsString, OsString)> {
        let joined = |(name, mut paths): (&str, Vec<PathBuf>)| {
            if paths.is_empty() {
                return None;
            }
            if let Some(before) = std::env::var_os(name).filter(|it| !it.is_empty()) {
                paths.extend(std::env::split_paths(&before));
            }
            Some((name.into(), std::env::join_paths(paths).ok()?))
        };
        self.search_paths().into_iter().filter_map(joined).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_pkg_config_are_relocated() {
        let text = "prefix=/usr\nlibdir=${prefix}/lib\nincludedir=/usr/include\nName: x\nLibs: -L${libdir} -lx\n";
        let expected = "prefix=/c/usr\nlibdir=${prefix}/lib\nincludedir=/c/usr/include\nName: x\nLibs: -L${libdir} -lx\n";
        assert_eq!(relocated(text, Path::new("/c")), expected);
    }
}
