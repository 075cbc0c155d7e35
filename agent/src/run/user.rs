//! The user of an image: OCI image specification, `config.User`.

use std::path::PathBuf;

use protocol::{Failure, FailureKind};

use crate::container::User;
use crate::layer::within;

/// The most bytes of `/etc/passwd` and `/etc/group` that are read.
const CAP: u64 = 1024 * 1024;

/// Ids for `user`, `uid`, `user:group` or `uid:gid`; nothing means root. Names
/// are looked up in the image's own files, the topmost layer first.
pub(super) fn find(text: &str, layers: &[PathBuf]) -> Result<User, Failure> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let unknown = |name: &str| {
        let message = format!("the image's user {name:?} is not in the image");
        Failure::new(FailureKind::Invalid, message)
    };
    let passwd = || read(layers, "etc/passwd");
    let (uid, own_group) = match user.parse::<u32>() {
        _ if user.is_empty() => (0, Some(0)),
        Ok(uid) => (uid, field(&passwd(), 2, user, 3)),
        Err(_) => {
            let passwd = passwd();
            let uid = field(&passwd, 0, user, 2).ok_or_else(|| unknown(user))?;
            (uid, field(&passwd, 0, user, 3))
        }
    };
    let gid = match group.parse::<u32>() {
        _ if group.is_empty() => own_group.unwrap_or(0),
        Ok(gid) => gid,
        Err(_) => {
            let groups = read(layers, "etc/group");
            field(&groups, 0, group, 2).ok_or_else(|| unknown(group))?
        }
    };
    Ok(User {
        uid,
        gid,
        groups: Vec::new(),
    })
}

/// A numeric field of the line in which another field has a value.
fn field(text: &str, key: usize, value: &str, wanted: usize) -> Option<u32> {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields.get(key) == Some(&value))?;
    line.get(wanted)?.parse().ok()
}

fn read(layers: &[PathBuf], path: &str) -> String {
    let found = layers
        .iter()
        .find_map(|layer| within::read(layer, path, CAP));
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn layer() -> tempfile::TempDir {
        let layer = tempfile::tempdir().unwrap();
        fs_err::create_dir(layer.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/root:/bin/sh\ncnb:x:1001:1000::/home/cnb:/bin/sh\n";
        fs_err::write(layer.path().join("etc/passwd"), passwd).unwrap();
        fs_err::write(layer.path().join("etc/group"), "web:x:33:\n").unwrap();
        layer
    }

    #[test]
    fn users_are_found_by_id_and_by_name() {
        let layer = layer();
        let layers = [layer.path().to_owned()];
        for (text, uid, gid) in [
            ("", 0, 0),
            ("1001:1000", 1001, 1000),
            ("1001", 1001, 1000),
            ("cnb", 1001, 1000),
            ("cnb:web", 1001, 33),
            ("7", 7, 0),
        ] {
            let user = find(text, &layers).unwrap();
            assert_eq!((user.uid, user.gid), (uid, gid), "{text}");
        }
        assert!(find("nobody", &layers).is_err());
    }
}
