//! Makes a buildpack of a script that a `project.toml` contains.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SettingsError;

/// The version of a buildpack without one.
const VERSION: &str = "0.0.0";
/// The shell of a script without one.
const SHELL: &str = "/bin/sh";

/// `script = { api = "0.10", inline = "…", shell = "/bin/bash" }`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Script {
    api: Option<String>,
    inline: String,
    shell: Option<String>,
}

/// A buildpack whose only program is a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InlineBuildpack {
    id: String,
    version: String,
    api: String,
    shell: String,
    script: String,
}

/// A file of a buildpack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuildpackFile {
    /// The path below the buildpack's folder.
    pub(crate) path: &'static str,
    /// Permission bits.
    pub(crate) mode: u16,
    /// The content.
    pub(crate) content: Vec<u8>,
}

/// `buildpack.toml`
#[derive(Serialize)]
struct BuildpackToml<'a> {
    api: &'a str,
    buildpack: Identity<'a>,
    stacks: [Stack; 1],
}

#[derive(Serialize)]
struct Identity<'a> {
    id: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Stack {
    id: &'static str,
}

impl Script {
    /// Whether the entry has a script.
    pub(super) fn is_given(&self) -> bool {
        !self.inline.is_empty()
    }

    /// Makes a buildpack of a script. `path` is the project.toml, for errors.
    pub(super) fn named(
        self,
        path: &Path,
        id: String,
        version: Option<String>,
    ) -> Result<InlineBuildpack, SettingsError> {
        let wrong = |id: &str, reason| SettingsError::Inline {
            path: path.to_owned(),
            id: id.to_owned(),
            reason,
        };
        let version = version.unwrap_or_else(|| VERSION.to_owned());
        if !is_path(&id) || !is_path(&version) || version.contains('/') {
            return Err(wrong(
                &id,
                "has an `id` or `version` that is not a valid folder name",
            ));
        }
        let Some(api) = self.api.filter(|api| !api.is_empty()) else {
            return Err(wrong(&id, "has no `api`"));
        };
        if !is_api(&api) {
            return Err(wrong(&id, "has an `api` that is not a valid version"));
        }
        let shell = self.shell.filter(|shell| !shell.is_empty());
        let shell = shell.unwrap_or_else(|| SHELL.to_owned());
        if shell.contains('\n') {
            return Err(wrong(&id, "has a `shell` of more than one line"));
        }
        Ok(InlineBuildpack {
            id,
            version,
            api,
            shell,
            // git may check out text files with CRLF.
            script: self.inline.replace("\r\n", "\n"),
        })
    }
}

impl InlineBuildpack {
    /// Returns the files of the buildpack, sorted by path. They are like those
    /// that pack writes, and support every stack.
    pub(crate) fn files(&self) -> Result<[BuildpackFile; 3], toml::ser::Error> {
        let descriptor = toml::to_string(&BuildpackToml {
            api: &self.api,
            buildpack: Identity {
                id: &self.id,
                version: &self.version,
            },
            stacks: [Stack { id: "*" }],
        })?;
        let Self { shell, script, .. } = self;
        let file = |path, mode, content: String| BuildpackFile {
            path,
            mode,
            content: content.into_bytes(),
        };
        Ok([
            file("bin/build", 0o755, format!("#!{shell}\n\n{script}\n")),
            file("bin/detect", 0o755, format!("#!{shell}\n\nexit 0\n")),
            file("buildpack.toml", 0o644, descriptor),
        ])
    }
}

/// Whether an id or a version can be a part of a path: they become folders
/// below `/cnb/buildpacks`.
fn is_path(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./+".contains(&byte);
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    text.len() < 256 && text.bytes().all(known) && text.split('/').all(is_name)
}

/// Whether a text is a version of the buildpack API: `0.10` or `1`.
fn is_api(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
    let mut parts = text.split('.');
    parts.by_ref().take(2).all(is_number) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn script(api: &str, inline: &str, shell: Option<&str>) -> Script {
        Script {
            api: Some(api.to_owned()),
            inline: inline.to_owned(),
            shell: shell.map(str::to_owned),
        }
    }

    fn named(script: Script, id: &str) -> Result<InlineBuildpack, SettingsError> {
        script.named(Path::new("project.toml"), id.to_owned(), None)
    }

    #[test]
    fn the_files_are_those_that_pack_writes() {
        let buildpack = named(script("0.10", "echo hello\r\necho there\r\n", None), "me/x");
        let [build, detect, descriptor] = buildpack.unwrap().files().unwrap();
        assert_eq!(build.content, b"#!/bin/sh\n\necho hello\necho there\n\n");
        assert_eq!(detect.content, b"#!/bin/sh\n\nexit 0\n");
        assert_eq!(
            [build.mode, detect.mode, descriptor.mode],
            [0o755, 0o755, 0o644]
        );
        let text = String::from_utf8(descriptor.content).unwrap();
        let expected = "api = \"0.10\"\n\n[buildpack]\nid = \"me/x\"\nversion = \"0.0.0\"\n\n[[stacks]]\nid = \"*\"\n";
        assert_eq!(text, expected);
        let bash = named(script("0.10", "x", Some("/bin/bash -e")), "x").unwrap();
        let [build, ..] = bash.files().unwrap();
        assert_eq!(build.content, b"#!/bin/bash -e\n\nx\n");
    }

    #[test]
    fn what_cannot_be_a_buildpack_is_an_error() {
        let told =
            |buildpack: Result<InlineBuildpack, SettingsError>| buildpack.unwrap_err().to_string();
        let no_api = Script {
            inline: "x".to_owned(),
            ..Script::default()
        };
        assert!(told(named(no_api, "me/x")).ends_with("`me/x` has no `api`"));
        for api in ["", "new", "0.", "0.1.2", "-1"] {
            named(script(api, "x", None), "me/x").unwrap_err();
        }
        for id in ["../x", "/x", "a//b", "a b", ".", ""] {
            named(script("0.10", "x", None), id).unwrap_err();
        }
        named(script("0.10", "x", Some("/bin/sh\nrm")), "x").unwrap_err();
    }
}
