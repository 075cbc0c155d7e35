//! Resolves the user of an image: OCI image specification, `config.User`, and
//! the image's own `/etc/passwd` and `/etc/group`.

use protocol::{Failure, FailureKind};

use crate::container::User;
use crate::store::layer::merged::Merged;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// The most bytes to read of either file.
const CAP: u64 = 16 * 1024 * 1024;
/// The highest id that Docker permits. The kernel uses higher ones as "no
/// change".
const HIGHEST_ID: u32 = i32::MAX.cast_unsigned();

/// The user of an image's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageUser {
    /// Its user and group ids.
    pub(crate) user: User,
    /// Its home directory, the default of `HOME`.
    pub(crate) home: String,
}

/// A line of `/etc/passwd`.
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// A line of `/etc/group`.
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Finds the user that `user`, `uid`, `user:group` or `uid:gid` names. An empty
/// text means root. As in Docker, a user without a group also has its groups of
/// `/etc/group`, and the home directory is that of the first account with the
/// user's id.
pub(crate) fn find(text: &str, image: Merged<'_>) -> Result<ImageUser, Failure> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let accounts: Vec<Account> = lines(image, PASSWD, Account::parse)?;
    let number = if user.is_empty() { Some(0) } else { id(user) };
    // A number is never a user name, because any account could have that name.
    let is_it = |it: &&Account| number.map_or(it.name == user, |uid| it.uid == uid);
    let account = accounts.iter().find(is_it);
    let uid = account.map(|it| it.uid).or(number);
    let uid = uid.ok_or_else(|| unknown("user", user, PASSWD))?;
    let groups: Vec<Group> = lines(image, GROUP, Group::parse)?;
    let (gid, others) = match account {
        _ if !group.is_empty() => (explicit(group, &groups)?, Vec::new()),
        Some(account) => {
            let theirs = groups
                .iter()
                .filter(|it| it.members.contains(&account.name));
            (account.gid, theirs.map(|it| it.gid).collect())
        }
        None => (0, Vec::new()),
    };
    Ok(ImageUser {
        user: User {
            uid,
            gid,
            groups: others,
        },
        home: home_of(uid, accounts),
    })
}

/// The home directory of the user with an id.
pub(crate) fn home(uid: u32, image: Merged<'_>) -> Result<String, Failure> {
    Ok(home_of(uid, lines(image, PASSWD, Account::parse)?))
}

fn home_of(uid: u32, accounts: Vec<Account>) -> String {
    let own = accounts.into_iter().find(|it| it.uid == uid);
    let home = own.map(|it| it.home).filter(|home| !home.is_empty());
    home.unwrap_or_else(|| "/".to_owned())
}

fn explicit(group: &str, groups: &[Group]) -> Result<u32, Failure> {
    let by_name = || groups.iter().find(|it| it.name == group).map(|it| it.gid);
    let gid = id(group).or_else(by_name);
    gid.ok_or_else(|| unknown("group", group, GROUP))
}

fn unknown(what: &str, name: &str, file: &str) -> Failure {
    let message = format!("the image's {what} {name:?} is not in the image's {file}");
    Failure::new(FailureKind::Invalid, message)
}

/// Parses an id that a process can have.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id <= HIGHEST_ID)
}

/// The valid lines of a file. Skips comments and malformed lines. Empty if the
/// image lacks the file.
fn lines<T>(
    image: Merged<'_>,
    path: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    let read = image.read(path, CAP).map_err(|error| {
        let mut failure = Failure::from_error(FailureKind::Integrity, &error);
        failure.causes.insert(0, failure.message);
        failure.message = format!("the image's {path} cannot be read");
        failure
    })?;
    let bytes = read.unwrap_or_default();
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| parse(String::from_utf8_lossy(line).trim()))
        .collect())
}

impl Account {
    /// Parses `name:password:uid:gid:comment:home:shell`.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        Some(Self {
            name: name(fields.first()?)?,
            uid: id(fields.get(2)?)?,
            gid: id(fields.get(3)?)?,
            home: fields.get(5).copied().unwrap_or_default().to_owned(),
        })
    }
}

impl Group {
    /// Parses `name:password:gid:member,member`.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let members = fields.get(3).copied().unwrap_or_default().split(',');
        Some(Self {
            name: name(fields.first()?)?,
            gid: id(fields.get(2)?)?,
            members: members.map(str::to_owned).collect(),
        })
    }
}

fn name(text: &str) -> Option<String> {
    (!text.is_empty() && !text.starts_with('#')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::{FileTypeExt as _, symlink};
    use std::path::{Path, PathBuf};

    use super::*;

    /// An image of several layers, the uppermost first.
    struct Image {
        directory: tempfile::TempDir,
        layers: Vec<PathBuf>,
    }

    impl Image {
        fn new(layers: usize) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let layers = (0..layers).map(|it| directory.path().join(it.to_string()));
            let layers: Vec<PathBuf> = layers.collect();
            for layer in &layers {
                fs_err::create_dir_all(layer.join("etc")).unwrap();
            }
            Self { directory, layers }
        }

        fn of(passwd: impl AsRef<[u8]>, group: &str) -> Self {
            let image = Self::new(1);
            fs_err::write(image.path(0, "etc/passwd"), passwd).unwrap();
            fs_err::write(image.path(0, "etc/group"), group).unwrap();
            image
        }

        fn path(&self, layer: usize, path: &str) -> PathBuf {
            self.layers[layer].join(path)
        }

        fn find(&self, text: &str) -> Result<ImageUser, Failure> {
            find(text, Merged(&self.layers))
        }

        /// Formats a user as `uid:gid:groups:home`.
        fn show(&self, text: &str) -> String {
            match self.find(text) {
                Ok(ImageUser { user, home }) => {
                    format!("{}:{}:{:?}:{home}", user.uid, user.gid, user.groups)
                }
                Err(failure) => failure.message,
            }
        }
    }

    const PASSWD_TEXT: &str = "root:x:0:0::/root:/bin/sh\ncnb:x:1001:1000::/home/cnb:/bin/sh\n\
        twin:x:1001:7::/home/twin:\n77:x:0:0::/trap:\nbare:x:5:6";
    const GROUP_TEXT: &str =
        "88:x:0:\nroot:x:0:root\nadm:x:4:root,cnb\ncnb:x:1000:\nweb:x:33:cnb,twin\n";

    #[test]
    fn users_are_found_by_id_and_by_name() {
        let image = Image::of(PASSWD_TEXT, GROUP_TEXT);
        for (text, expected) in [
            ("", "0:0:[0, 4]:/root"),
            ("root", "0:0:[0, 4]:/root"),
            ("1001", "1001:1000:[4, 33]:/home/cnb"),
            ("cnb", "1001:1000:[4, 33]:/home/cnb"),
            ("twin", "1001:7:[33]:/home/cnb"),
            ("1001:1000", "1001:1000:[]:/home/cnb"),
            ("cnb:web", "1001:33:[]:/home/cnb"),
            ("cnb:55", "1001:55:[]:/home/cnb"),
            (":web", "0:33:[]:/root"),
            ("cnb:", "1001:1000:[4, 33]:/home/cnb"),
            ("bare", "5:6:[]:/"),
            ("7", "7:0:[]:/"),
            ("77", "77:0:[]:/"),
            ("cnb:88", "1001:88:[]:/home/cnb"),
            ("7:8", "7:8:[]:/"),
        ] {
            assert_eq!(image.show(text), expected, "{text:?}");
        }
    }

    #[test]
    fn who_is_not_there_is_named_with_the_file() {
        let image = Image::of(PASSWD_TEXT, GROUP_TEXT);
        // With the last two ids the kernel would change nothing, so the process
        // would stay root.
        for user in ["nobody", "-1", "1001x", "4294967295", "2147483648"] {
            let said = image.show(user);
            let expected = format!("the image's user {user:?} is not in the image's /etc/passwd");
            assert_eq!(said, expected);
        }
        for group in ["nogroup", "4294967295"] {
            let said = image.show(&format!("cnb:{group}"));
            let expected = format!("the image's group {group:?} is not in the image's /etc/group");
            assert_eq!(said, expected);
        }
        let empty = Image::new(1);
        assert_eq!(empty.show("1000"), "1000:0:[]:/");
        assert_eq!(empty.show(""), "0:0:[]:/");
        assert!(empty.find("root").is_err());
    }

    #[test]
    fn odd_lines_mean_nothing() {
        let passwd = b"# who:x:3:3::/comment:\n\n:x:3:3::/empty:\n+::::::\nno numbers\nweb:x:x:3::/x:\r\n\
            high:x:4294967295:0::/:\n\xe9t\xe9:x:8:8:caf\xe9:/home/summer:\r\n  web:x:3:4:::/bin/sh";
        let image = Image::of(passwd, "#x:x:9:web\nbad:x:y:web\nlast:x:5:a,web");
        assert_eq!(image.show("web"), "3:4:[5]:/");
        assert_eq!(image.show("3"), "3:4:[5]:/");
        assert_eq!(image.show("8"), "8:8:[]:/home/summer");
        assert_eq!(image.show(""), "0:0:[]:/");
        assert!(image.find("high").is_err());
        assert!(image.find("+").is_err());
    }

    #[test]
    fn the_files_are_those_that_the_whole_image_shows() {
        let line = "web:x:3:4::/srv:\n";
        let image = Image::new(3);
        symlink("/opt/accounts/passwd", image.path(0, "etc/passwd")).unwrap();
        symlink("real", image.path(1, "opt")).unwrap();
        fs_err::create_dir_all(image.path(2, "real/accounts")).unwrap();
        fs_err::write(image.path(2, "real/accounts/passwd"), line).unwrap();
        assert_eq!(image.show("web"), "3:4:[]:/srv");
        // The uppermost layer takes precedence, including its deletions.
        let image = Image::new(2);
        fs_err::write(image.path(1, "etc/passwd"), line).unwrap();
        assert_eq!(image.show("web"), "3:4:[]:/srv");
        let hidden = image.path(0, "etc/passwd");
        let mode = rustix::fs::Mode::empty();
        let whiteout = rustix::fs::FileType::CharacterDevice;
        rustix::fs::mknodat(rustix::fs::CWD, &hidden, whiteout, mode, 0).unwrap();
        assert!(
            fs_err::symlink_metadata(&hidden)
                .unwrap()
                .file_type()
                .is_char_device()
        );
        assert!(image.find("web").is_err());
    }

    #[test]
    fn what_is_no_plain_file_of_the_image_is_not_read() {
        let image = Image::new(1);
        let outside = image.directory.path().join("outside");
        fs_err::write(&outside, "web:x:3:4::/srv:\n").unwrap();
        let passwd = image.path(0, "etc/passwd");
        for target in [
            outside.as_path(),
            Path::new("../../outside"),
            Path::new("passwd"),
        ] {
            symlink(target, &passwd).unwrap();
            assert!(image.find("web").is_err(), "{}", target.display());
            fs_err::remove_file(&passwd).unwrap();
        }
        let pipe = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(rustix::fs::CWD, &passwd, pipe, mode, 0).unwrap();
        assert!(image.find("web").is_err());
        fs_err::remove_file(&passwd).unwrap();
        let file = fs_err::File::create(&passwd).unwrap();
        file.set_len(CAP + 1).unwrap();
        let failure = image.find("web").unwrap_err();
        assert_eq!(failure.message, "the image's /etc/passwd cannot be read");
    }
}
