//! Which targets of the workspace are built: what `cargo build` would build, as
//! far as it can be run.

use serde::Deserialize;

use crate::settings::Table;

/// `cargo metadata --no-deps`
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    #[serde(default)]
    workspace_default_members: Vec<String>,
}

/// A member of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    default_run: Option<String>,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// What is built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// `--package`s; none means Cargo's default members.
    pub(crate) packages: Vec<String>,
    pub(crate) bins: Vec<String>,
    pub(crate) examples: Vec<String>,
    /// The binary that the image starts.
    pub(crate) web: Option<String>,
}

/// Nothing that can be built is chosen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelectionError {
    #[error("there is no binary to build: {0}")]
    NoBinary(String),
    #[error("there is no {what} called {name:?}")]
    Unknown {
        what: &'static str,
        name: String,
        known: Vec<String>,
    },
}

impl SelectionError {
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoBinary(_) => {
                "an example is built by `examples` in [package.metadata.locald], or by BP_CARGO_EXAMPLES"
                    .to_owned()
            }
            Self::Unknown { what, known, .. } if known.is_empty() => {
                format!("there is no {what} at all")
            }
            Self::Unknown { known, .. } => format!("there are: {}", known.join(", ")),
        }
    }
}

impl Package {
    fn names<'a>(&'a self, kind: &'static str) -> impl Iterator<Item = &'a str> {
        let is = move |target: &&Target| target.kind.iter().any(|it| it == kind);
        self.targets.iter().filter(is).map(|target| &*target.name)
    }
}

impl Selection {
    /// Decides by the settings, else by Cargo's own default.
    pub(crate) fn new(metadata: &Metadata, settings: &Table) -> Result<Self, SelectionError> {
        let (members, packages) = members(metadata, settings)?;
        let all_bins = names(&members, "bin");
        let all_examples = names(&members, "example");
        check("binary", &settings.bins, &all_bins)?;
        check("example", &settings.examples, &all_examples)?;
        let bins = match (&settings.bins[..], &settings.examples[..]) {
            ([], []) => all_bins,
            (bins, _) => bins.to_vec(),
        };
        if bins.is_empty() && settings.examples.is_empty() {
            return Err(SelectionError::NoBinary(without(&members)));
        }
        let web = web(&members, &bins, settings)?;
        Ok(Self {
            packages,
            bins,
            examples: settings.examples.clone(),
            web,
        })
    }

    /// Everything that becomes a process.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &String> {
        self.bins.iter().chain(&self.examples)
    }
}

/// The packages to build, and how Cargo is told.
fn members<'a>(
    metadata: &'a Metadata,
    settings: &Table,
) -> Result<(Vec<&'a Package>, Vec<String>), SelectionError> {
    let all: Vec<&Package> = metadata.packages.iter().collect();
    if !settings.packages.is_empty() {
        let known: Vec<String> = all.iter().map(|package| package.name.clone()).collect();
        check("package", &settings.packages, &known)?;
        let chosen = |package: &&Package| settings.packages.contains(&package.name);
        let members = all.into_iter().filter(chosen).collect();
        return Ok((members, settings.packages.clone()));
    }
    let default = &metadata.workspace_default_members;
    let is_default = |package: &&Package| default.is_empty() || default.contains(&package.id);
    let members: Vec<&Package> = all.iter().copied().filter(is_default).collect();
    let runnable = |package: &&Package| package.names("bin").next().is_some();
    if members.iter().any(runnable) || !settings.examples.is_empty() {
        return Ok((members, Vec::new()));
    }
    // A library at the root of a workspace with binaries elsewhere.
    let others: Vec<&Package> = all.into_iter().filter(runnable).collect();
    if others.is_empty() {
        return Ok((members, Vec::new()));
    }
    let packages = others.iter().map(|package| package.name.clone()).collect();
    Ok((others, packages))
}

fn names(members: &[&Package], kind: &'static str) -> Vec<String> {
    let names = members.iter().flat_map(|package| package.names(kind));
    names.map(str::to_owned).collect()
}

fn check(what: &'static str, wanted: &[String], known: &[String]) -> Result<(), SelectionError> {
    match wanted.iter().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(SelectionError::Unknown {
            what,
            name: name.clone(),
            known: known.to_vec(),
        }),
    }
}

fn without(members: &[&Package]) -> String {
    match members {
        [package] => format!("{} is a library", package.name),
        _ => "the members of the workspace are libraries".to_owned(),
    }
}

/// `default-run`, the only one, or the one named like its package; the others
/// can be started by their names.
fn web(
    members: &[&Package],
    bins: &[String],
    settings: &Table,
) -> Result<Option<String>, SelectionError> {
    let programs = [bins, &settings.examples].concat();
    if let Some(web) = &settings.web {
        check("binary", std::slice::from_ref(web), &programs)?;
        return Ok(Some(web.clone()));
    }
    if let [only] = &programs[..] {
        return Ok(Some(only.clone()));
    }
    let built = |name: &&String| bins.contains(name);
    let mut default_runs = members.iter().filter_map(|it| it.default_run.as_ref());
    if let Some(name) = default_runs.find(built) {
        return Ok(Some(name.clone()));
    }
    if bins.iter().any(|name| name == "web") {
        return Ok(Some("web".to_owned()));
    }
    match members {
        [package] => Ok(Some(&package.name).filter(built).cloned()),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// Packages with their binaries; a name in brackets is an example.
    fn workspace(packages: &[(&str, &[&str])]) -> Metadata {
        let target = |name: &&str| match name.strip_prefix('[') {
            None => Target {
                name: (*name).to_owned(),
                kind: vec!["bin".to_owned()],
            },
            Some(example) => Target {
                name: example.trim_end_matches(']').to_owned(),
                kind: vec!["example".to_owned()],
            },
        };
        let package = |(name, targets): &(&str, &[&str])| Package {
            id: (*name).to_owned(),
            name: (*name).to_owned(),
            default_run: None,
            targets: targets.iter().map(target).collect(),
        };
        Metadata {
            packages: packages.iter().map(package).collect(),
            workspace_default_members: Vec::new(),
        }
    }

    fn select(metadata: &Metadata, settings: &Table) -> Selection {
        Selection::new(metadata, settings).unwrap()
    }

    #[test]
    fn the_process_to_start_is_found_as_cargo_run_finds_it() {
        let web = |metadata: &Metadata| select(metadata, &Table::default()).web;
        let only = |name: &str| Some(name.to_owned());
        assert_eq!(web(&workspace(&[("shop", &["server"])])), only("server"));
        let mut two = workspace(&[("shop", &["shop", "worker"])]);
        assert_eq!(web(&two), only("shop"));
        two.packages[0].default_run = only("worker");
        assert_eq!(web(&two), only("worker"));
        let two = workspace(&[("a", &["a"]), ("b", &["b"])]);
        assert_eq!(web(&two), None);
        assert_eq!(web(&workspace(&[("a", &["x", "y"])])), None);
        assert_eq!(web(&workspace(&[("a", &["x", "web"])])), only("web"));
    }

    #[test]
    fn a_library_alone_is_an_error_unless_an_example_is_chosen() {
        let library = workspace(&[("a", &["[demo]"])]);
        let error = Selection::new(&library, &Table::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no binary to build: a is a library"
        );
        let examples = vec!["demo".to_owned()];
        let settings = Table {
            examples,
            ..Table::default()
        };
        assert_eq!(select(&library, &settings).web.unwrap(), "demo");
    }

    #[test]
    fn binaries_elsewhere_in_the_workspace_are_built_when_the_default_has_none() {
        let mut metadata = workspace(&[("lib", &[]), ("tool", &["tool"])]);
        metadata.workspace_default_members = vec!["lib".to_owned()];
        let selection = select(&metadata, &Table::default());
        assert_eq!(selection.packages, ["tool"]);
        assert_eq!(selection.bins, ["tool"]);
    }

    #[test]
    fn what_is_not_there_names_what_is() {
        let settings = Table {
            bins: vec!["x".to_owned()],
            ..Table::default()
        };
        let error = Selection::new(&workspace(&[("a", &["a"])]), &settings).unwrap_err();
        assert_eq!(error.hint(), "there are: a");
    }
}
