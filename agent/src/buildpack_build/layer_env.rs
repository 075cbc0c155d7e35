//! Computes the environment variables that the layers of a build set for later
//! buildpacks. A development shell has them in addition to those of the image;
//! variables of a layer that is also in the image are in both already.
//!
//! Source: CNB buildpack specification, "Layer Paths" and "Environment Variable
//! Modification Rules". Buildpacks wrote the layers, so this module follows no
//! link out of the layers directory and reads only regular files.

use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde::Deserialize;

use crate::process::environment::Environment;

/// Where containers see the layers directory.
const LAYERS: &str = "/layers";
/// The most bytes that are read of one file.
const FILE_CAP: u64 = 1024 * 1024;
/// Directories of a build layer and the search paths that they extend.
const SEARCH_PATHS: [(&str, &str); 5] = [
    ("bin", "PATH"),
    ("lib", "LD_LIBRARY_PATH"),
    ("lib", "LIBRARY_PATH"),
    ("include", "CPATH"),
    ("pkgconfig", "PKG_CONFIG_PATH"),
];
/// The search paths that a launch layer extends, too.
const AT_LAUNCH: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// The layers directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LayerEnvError {
    /// A file or directory cannot be opened or read.
    #[error("cannot read {} in the layers of the last build", path.display())]
    Read {
        /// Path relative to the layers directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file violates the specification.
    #[error("{} in the layers of the last build is not valid TOML", path.display())]
    Toml {
        /// Path relative to the layers directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl From<LayerEnvError> for protocol::Failure {
    fn from(error: LayerEnvError) -> Self {
        Self::from_error(protocol::FailureKind::Store, &error)
            .with_hint("`locald build --clear-cache` makes the layers anew")
    }
}

/// Applies the build layers of all buildpacks in `layers` to `environment`,
/// in the order of the detected group.
pub(crate) fn apply(layers: &Path, environment: &mut Environment) -> Result<(), LayerEnvError> {
    let layers = LayersDir::open(layers)?;
    for buildpack in layers.group()? {
        for (layer, types) in layers.build_layers(&buildpack)? {
            layers.apply_layer(&layer, &types, environment)?;
        }
    }
    Ok(())
}

/// The buildpacks of the detected group as `ID VERSION`, each with whether it
/// has a directory of layers. Empty if the group cannot be read.
pub(super) fn buildpacks(layers: &Path) -> Vec<(String, bool)> {
    let read = || {
        let layers = LayersDir::open(layers)?;
        let mut found = Vec::new();
        for member in layers.members()? {
            let directory = layers.open_at(Path::new(&member.directory()), OFlags::PATH)?;
            let name = format!("{} {}", member.id, member.version);
            found.push((name.trim_end().to_owned(), directory.is_some()));
        }
        Ok::<_, LayerEnvError>(found)
    };
    read().unwrap_or_default()
}

struct LayersDir {
    root: OwnedFd,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    group: Vec<GroupMember>,
}

#[derive(Deserialize)]
struct GroupMember {
    id: String,
    #[serde(default)]
    version: String,
}

impl GroupMember {
    /// The name of the buildpack's directory of layers.
    fn directory(&self) -> String {
        self.id.replace('/', "_")
    }
}

#[derive(Deserialize)]
struct LayerToml {
    #[serde(default)]
    types: LayerTypes,
}

#[derive(Default, Deserialize)]
struct LayerTypes {
    #[serde(default)]
    build: bool,
    #[serde(default)]
    launch: bool,
}

impl LayersDir {
    fn open(path: &Path) -> Result<Self, LayerEnvError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(root) => Ok(Self { root }),
            Err(errno) => Err(read_error(Path::new(""), errno)),
        }
    }

    /// The directory names of the group's buildpacks.
    fn group(&self) -> Result<Vec<String>, LayerEnvError> {
        let members = self.members()?;
        Ok(members.iter().map(GroupMember::directory).collect())
    }

    fn members(&self) -> Result<Vec<GroupMember>, LayerEnvError> {
        let group = self.toml(Path::new("group.toml"))?;
        Ok(group.map_or(Vec::new(), |group: Group| group.group))
    }

    /// The layers of a buildpack that a build sees, sorted by name: the path
    /// and the types of each.
    fn build_layers(&self, buildpack: &str) -> Result<Vec<(PathBuf, LayerTypes)>, LayerEnvError> {
        let mut layers = Vec::new();
        for name in self.names(Path::new(buildpack))? {
            let Some(layer) = name.strip_suffix(".toml") else {
                continue;
            };
            let described = Path::new(buildpack).join(&name);
            let types = self.toml::<LayerToml>(&described)?.map(|toml| toml.types);
            if let Some(types) = types.filter(|types| types.build) {
                layers.push((Path::new(buildpack).join(layer), types));
            }
        }
        Ok(layers)
    }

    fn apply_layer(
        &self,
        layer: &Path,
        types: &LayerTypes,
        environment: &mut Environment,
    ) -> Result<(), LayerEnvError> {
        for (directory, variable) in SEARCH_PATHS {
            let is_done = types.launch && AT_LAUNCH.contains(&variable);
            let directory = layer.join(directory);
            if !is_done && self.open_at(&directory, OFlags::PATH)?.is_some() {
                let seen = Path::new(LAYERS).join(&directory);
                prepend(environment, variable, &seen.to_string_lossy(), ":");
            }
        }
        if !types.launch {
            self.apply_env_dir(&layer.join("env"), environment)?;
        }
        self.apply_env_dir(&layer.join("env.build"), environment)
    }

    fn apply_env_dir(
        &self,
        directory: &Path,
        environment: &mut Environment,
    ) -> Result<(), LayerEnvError> {
        for name in self.names(directory)? {
            let Some(value) = self.text(&directory.join(&name))? else {
                continue;
            };
            let (variable, action) = name.split_once('.').unwrap_or((&name, "override"));
            let delimiter = || self.text(&directory.join(format!("{variable}.delim")));
            match action {
                "override" => environment.set(variable, value),
                "default" => environment.set_default(variable, &value),
                "prepend" => {
                    prepend(
                        environment,
                        variable,
                        &value,
                        &delimiter()?.unwrap_or_default(),
                    );
                }
                "append" => {
                    append(
                        environment,
                        variable,
                        &value,
                        &delimiter()?.unwrap_or_default(),
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The sorted names in a directory; empty if it is missing.
    fn names(&self, path: &Path) -> Result<Vec<String>, LayerEnvError> {
        let Some(directory) = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)? else {
            return Ok(Vec::new());
        };
        let entries = rustix::fs::Dir::new(directory).map_err(|errno| read_error(path, errno))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|errno| read_error(path, errno))?;
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn toml<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<T>, LayerEnvError> {
        let Some(text) = self.text(path)? else {
            return Ok(None);
        };
        toml::from_str(&text)
            .map(Some)
            .map_err(|source| LayerEnvError::Toml {
                path: path.to_owned(),
                source: Box::new(source),
            })
    }

    /// The text of a regular file; absent if there is none at this path.
    fn text(&self, path: &Path) -> Result<Option<String>, LayerEnvError> {
        let Some(file) = self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)? else {
            return Ok(None);
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| read_error(path, errno))?;
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        std::fs::File::from(file)
            .take(FILE_CAP)
            .read_to_end(&mut bytes)
            .map_err(|source| LayerEnvError::Read {
                path: path.to_owned(),
                source,
            })?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Opens a path below the layers directory. Absent if there is no entry, or
    /// if a symbolic link leads outside.
    fn open_at(&self, path: &Path, flags: OFlags) -> Result<Option<OwnedFd>, LayerEnvError> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        match rustix::fs::openat2(self.root.as_fd(), path, flags, Mode::empty(), resolve) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(errno) => Err(read_error(path, errno)),
        }
    }
}

fn read_error(path: &Path, errno: Errno) -> LayerEnvError {
    LayerEnvError::Read {
        path: path.to_owned(),
        source: errno.into(),
    }
}

fn prepend(environment: &mut Environment, name: &str, value: &str, delimiter: &str) {
    let value = match environment.get(name).filter(|old| !old.is_empty()) {
        Some(old) => format!("{value}{delimiter}{old}"),
        None => value.to_owned(),
    };
    environment.set(name, value);
}

fn append(environment: &mut Environment, name: &str, value: &str, delimiter: &str) {
    let value = match environment.get(name).filter(|old| !old.is_empty()) {
        Some(old) => format!("{old}{delimiter}{value}"),
        None => value.to_owned(),
    };
    environment.set(name, value);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn layers() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let group = "[[group]]\nid = \"acme/one\"\n[[group]]\nid = \"two\"\n";
        write(root.path(), "group.toml", group);
        write(
            root.path(),
            "acme_one/tools.toml",
            "[types]\nbuild = true\n",
        );
        write(root.path(), "acme_one/tools/bin/tool", "");
        write(root.path(), "acme_one/tools/env/MODE", "first");
        write(root.path(), "acme_one/tools/env.build/FLAGS.append", "-b");
        write(root.path(), "acme_one/tools/env.build/FLAGS.delim", " ");
        write(root.path(), "acme_one/tools/env.launch/ONLY_LAUNCH", "x");
        write(root.path(), "acme_one/app.toml", "[types]\nlaunch = true\n");
        write(root.path(), "acme_one/app/bin/app", "");
        let both = "[types]\nbuild = true\nlaunch = true\n";
        write(root.path(), "acme_one/both.toml", both);
        write(root.path(), "acme_one/both/bin/both", "");
        write(root.path(), "acme_one/both/lib/both", "");
        write(root.path(), "acme_one/both/env/FLAGS.append", "-launch");
        write(root.path(), "acme_one/both/env.build/BOTH", "x");
        write(root.path(), "two/more.toml", "[types]\nbuild = true\n");
        write(root.path(), "two/more/bin/more", "");
        write(root.path(), "two/more/env/MODE.default", "second");
        write(root.path(), "two/more/env/KIND.default", "third");
        root
    }

    #[test]
    fn build_layers_apply_in_the_order_of_the_group() {
        let root = layers();
        let mut environment = Environment::default();
        environment.set("PATH", "/usr/bin");
        environment.set("FLAGS", "-a");
        apply(root.path(), &mut environment).unwrap();
        assert_eq!(
            environment.get("PATH").unwrap(),
            "/layers/two/more/bin:/layers/acme_one/tools/bin:/usr/bin"
        );
        assert_eq!(environment.get("FLAGS").unwrap(), "-a -b");
        assert_eq!(environment.get("MODE").unwrap(), "first");
        assert_eq!(environment.get("KIND").unwrap(), "third");
        assert!(environment.get("ONLY_LAUNCH").is_none());
        // The launcher has applied the rest of this layer.
        assert_eq!(environment.get("BOTH").unwrap(), "x");
        let libraries = environment.get("LIBRARY_PATH").unwrap();
        assert_eq!(libraries, "/layers/acme_one/both/lib");
        assert!(environment.get("LD_LIBRARY_PATH").is_none());
    }

    #[test]
    fn the_groups_buildpacks_are_known_with_their_directories() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(buildpacks(root.path()), []);
        let group = "[[group]]\nid = \"acme/one\"\nversion = \"1.0\"\n[[group]]\nid = \"two\"\n";
        write(root.path(), "group.toml", group);
        write(root.path(), "acme_one/tools.toml", "");
        let expected = [("acme/one 1.0".to_owned(), true), ("two".to_owned(), false)];
        assert_eq!(buildpacks(root.path()), expected);
    }

    #[test]
    fn a_link_does_not_lead_out_of_the_layers() {
        let root = layers();
        let link = root.path().join("two/more/env/SECRET");
        std::os::unix::fs::symlink("/etc/hostname", link).unwrap();
        let link = root.path().join("two/more/env/UP");
        std::os::unix::fs::symlink("../../../../../../../etc/hostname", link).unwrap();
        let mut environment = Environment::default();
        apply(root.path(), &mut environment).unwrap();
        assert!(environment.get("SECRET").is_none());
        assert!(environment.get("UP").is_none());
    }

    #[test]
    fn a_broken_layer_file_is_named() {
        let root = layers();
        write(root.path(), "two/more.toml", "types = nonsense");
        let error = apply(root.path(), &mut Environment::default()).unwrap_err();
        assert!(error.to_string().contains("two/more.toml"), "{error}");
    }
}
