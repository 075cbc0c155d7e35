//! What the tests start their containers from.

use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use agent::container::{
    Access, Container, ContainerError, ContainerSpec, Mount, MountKind, Network, Upper, User,
};
use agent::kernel::namespace::Privilege;
use protocol::request::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

/// What a test returns.
pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The user that payloads are, unless a test says otherwise.
pub(crate) const USER: u32 = 1001;

/// Directories for containers, and whose root starts them.
pub(crate) struct Stage {
    pub(crate) privilege: Privilege,
    directory: TempDir,
}

/// A container that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Stage {
    pub(crate) fn new(privilege: Privilege) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("base");
        for name in ["base", "base/usr", "base/etc", "base/tmp", "state"] {
            fs_err::create_dir(directory.path().join(name)).unwrap();
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            if let Ok(target) = fs_err::read_link(Path::new("/").join(name)) {
                fs_err::os::unix::fs::symlink(target, base.join(name)).unwrap();
            }
        }
        set_mode(&base.join("tmp"), 0o1777);
        Self {
            privilege,
            directory,
        }
    }

    /// A fresh directory of the machine's.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs_err::create_dir(&path).unwrap();
        path
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The layer with the links into `/usr`.
    pub(crate) fn base(&self) -> PathBuf {
        self.directory.path().join("base")
    }

    /// A container that runs this command, and leaves nothing.
    pub(crate) fn spec(&self, args: &[&str]) -> ContainerSpec {
        Self::spec_over(self.base(), args)
    }

    pub(crate) fn shell(&self, script: &str) -> ContainerSpec {
        Self::shell_over(self.base(), script)
    }

    pub(crate) fn shell_over(base: PathBuf, script: &str) -> ContainerSpec {
        Self::spec_over(base, &["sh", "-c", script])
    }

    fn spec_over(base: PathBuf, args: &[&str]) -> ContainerSpec {
        ContainerSpec {
            lowers: vec![base],
            upper: Upper::Memory,
            directories: Vec::new(),
            mounts: vec![bind("/usr", "/usr", Access::ReadOnly)],
            args: args.iter().map(ToString::to_string).collect(),
            env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
            cwd: "/".into(),
            user: User {
                uid: USER,
                gid: USER,
                groups: Vec::new(),
            },
            hostname: "stage".to_owned(),
            network: Network::None,
            stdio: Stdio::Pipes,
            extra_hosts: Vec::new(),
        }
    }

    pub(crate) async fn start(&self, spec: ContainerSpec) -> Result<Container, ContainerError> {
        Container::start(spec, &self.state()).await
    }

    /// Starts a container, which must work, and reads all that it writes.
    pub(crate) async fn run(&self, spec: ContainerSpec) -> Ended {
        let container = self.start(spec).await;
        let container = container.unwrap_or_else(|error| panic!("{}", explain(&error)));
        finish(container).await
    }

    /// Starts a container, which must be refused.
    pub(crate) async fn refused(&self, spec: ContainerSpec) -> ContainerError {
        match self.start(spec).await {
            Ok(container) => panic!("not refused: {:?}", finish(container).await),
            Err(error) => error,
        }
    }
}

/// Closes the container's input and waits for its end.
pub(crate) async fn finish(mut container: Container) -> Ended {
    drop(container.stdin());
    let mut stdout = container.stdout().unwrap();
    let mut errors = container.stderr();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let read_errors = async {
        if let Some(errors) = &mut errors {
            errors.read_to_end(&mut err).await.unwrap();
        }
    };
    let (read, ()) = tokio::join!(stdout.read_to_end(&mut out), read_errors);
    read.unwrap();
    let code = container.wait().await;
    Ended {
        code: code.unwrap_or_else(|error| panic!("{}", explain(&error))).0,
        stdout: String::from_utf8_lossy(&out).into_owned(),
        stderr: String::from_utf8_lossy(&err).into_owned(),
    }
}

pub(crate) fn bind(source: impl Into<PathBuf>, target: &str, access: Access) -> Mount {
    Mount {
        target: target.into(),
        access,
        kind: MountKind::Bind {
            source: source.into(),
        },
    }
}

/// An error and its causes.
pub(crate) fn explain(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |cause| (*cause).source());
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    texts.join(": ")
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The processes that this one has started, and those that they have.
pub(crate) fn descendants(of: u32) -> Vec<u32> {
    let mut found = vec![of];
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs_err::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // It may have ended in this moment.
        let stat = fs_err::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        if let Some(parent) = after_name.split_whitespace().nth(1) {
            parents.push((pid, parent.parse().unwrap_or_default()));
        }
    }
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}
