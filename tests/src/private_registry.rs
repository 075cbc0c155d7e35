//! A real registry that wants an account.

use std::process::{Child, Command, Stdio};

use crate::{await_that, free_port};

/// Debian's registry, with one account, `me`; killed when dropped.
#[derive(Debug)]
pub struct PrivateRegistry {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl PrivateRegistry {
    /// Starts it; the account has this password.
    pub fn start(password: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = format!("localhost:{}", free_port());
        let accounts = Command::new("htpasswd")
            .args(["-Bbn", "me", password])
            .output()
            .unwrap();
        assert!(accounts.status.success());
        let path = |name: &str| directory.path().join(name);
        fs_err::write(path("htpasswd"), accounts.stdout).unwrap();
        let configuration = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n\
             auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
            path("data").display(),
            path("htpasswd").display(),
        );
        fs_err::write(path("config.yml"), configuration).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path("config.yml"));
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        await_that("the registry listens", || {
            std::net::TcpStream::connect(&address).is_ok()
        });
        Self {
            child,
            address,
            _directory: directory,
        }
    }

    /// `localhost:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for PrivateRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
