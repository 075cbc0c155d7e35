//! Selects the targets of the workspace to build: the executable ones among
//! those that `cargo build` would build.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::settings::Table;

/// The output of `cargo metadata --no-deps`.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    #[serde(default)]
    workspace_default_members: Vec<String>,
}

/// A member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) default_run: Option<String>,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    #[serde(default, rename = "required-features")]
    required_features: Vec<String>,
}

/// The kinds of executable targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Bin,
    Example,
}

/// The targets to build.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Values of `--package`. Empty for Cargo's default members.
    pub(crate) packages: Vec<String>,
    pub(crate) bins: Bins,
    pub(crate) examples: Vec<String>,
    /// The program that the image starts, if the settings name it.
    pub(crate) web: Option<String>,
    /// The packages with the selected targets.
    pub(crate) members: Vec<Package>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bins {
    /// All binaries. Cargo skips those whose features are not enabled.
    All,
    /// The named binaries. Each must be built.
    Named(Vec<String>),
}

/// A program that a selection may produce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    pub(crate) package: &'a Package,
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    /// Features that must be enabled for Cargo to build it.
    pub(crate) features: &'a [String],
}

/// The selection contains no target that can be built.
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
    #[error("two programs are called {name:?}: {first}, and {second}")]
    Twice {
        name: String,
        first: String,
        second: String,
    },
    #[error("nothing is built: {}", needs.join(", "))]
    Features { needs: Vec<String> },
    #[error("the image cannot start {name:?}: {needs}")]
    Web { name: String, needs: String },
}

impl SelectionError {
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::NoBinary(_) => {
                "an example is built by `examples` in [package.metadata.locald], or by BP_CARGO_EXAMPLES"
            }
            Self::Unknown { what, known, .. } if known.is_empty() => {
                return format!("there is no {what} at all");
            }
            Self::Unknown { known, .. } => return format!("there are: {}", known.join(", ")),
            Self::Twice { .. } => {
                "an image has each name once: name the packages to build by BP_CARGO_PACKAGES, or the \
                 binaries by BP_CARGO_BINS"
            }
            Self::Features { .. } | Self::Web { .. } => {
                "`features` in [package.metadata.locald], or BP_CARGO_FEATURES, enables features"
            }
        };
        hint.to_owned()
    }
}

impl Package {
    fn programs(&self, kind: Kind) -> impl Iterator<Item = Wanted<'_>> {
        let is = move |target: &&Target| target.kind.iter().any(|it| it == kind.name());
        self.targets.iter().filter(is).map(move |target| Wanted {
            package: self,
            kind,
            name: &target.name,
            features: &target.required_features,
        })
    }
}

impl Kind {
    /// Cargo's name of the kind.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bin => "bin",
            Self::Example => "example",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Bin => "binary",
            Self::Example => "example",
        }
    }
}

impl Wanted<'_> {
    /// The features that the program needs, for messages.
    pub(crate) fn needs(&self) -> String {
        let features: Vec<String> = self.features.iter().map(|it| format!("`{it}`")).collect();
        let (s, are) = match features.len() {
            1 => ("", "is"),
            _ => ("s", "are"),
        };
        let features = features.join(" and ");
        format!(
            "{} needs the feature{s} {features} of {}, which {are} not enabled",
            self.name, self.package.name
        )
    }

    fn described(&self) -> String {
        format!("the {} of {}", self.kind.word(), self.package.name)
    }
}

impl Selection {
    /// Selects by the settings, else by Cargo's own default.
    pub(crate) fn new(metadata: &Metadata, settings: &Table) -> Result<Self, SelectionError> {
        let (members, packages) = members(metadata, settings)?;
        check("binary", &settings.bins, &names(&members, Kind::Bin))?;
        check(
            "example",
            &settings.examples,
            &names(&members, Kind::Example),
        )?;
        let bins = match (&settings.bins[..], &settings.examples[..]) {
            ([], []) => Bins::All,
            (bins, _) => Bins::Named(bins.to_vec()),
        };
        let selection = Self {
            packages,
            bins,
            examples: settings.examples.clone(),
            web: settings.web.clone(),
            members: members.into_iter().cloned().collect(),
        };
        selection.check()?;
        Ok(selection)
    }

    fn check(&self) -> Result<(), SelectionError> {
        let wanted = self.wanted();
        if wanted.is_empty() {
            return Err(SelectionError::NoBinary(without(&self.members)));
        }
        let names: Vec<String> = wanted.iter().map(|it| it.name.to_owned()).collect();
        check("binary", self.web.as_slice(), &names)?;
        // Only Cargo knows whether it builds the programs that need features.
        each_once(wanted.into_iter().filter(|it| it.features.is_empty()))
    }

    /// All programs that may become a process.
    pub(crate) fn wanted(&self) -> Vec<Wanted<'_>> {
        let named = |program: &Wanted<'_>| match (program.kind, &self.bins) {
            (Kind::Bin, Bins::All) => true,
            (Kind::Bin, Bins::Named(names)) => names.iter().any(|name| name == program.name),
            (Kind::Example, _) => self.examples.iter().any(|name| name == program.name),
        };
        let of_kind = |kind| self.members.iter().flat_map(move |it| it.programs(kind));
        of_kind(Kind::Bin)
            .chain(of_kind(Kind::Example))
            .filter(named)
            .collect()
    }

    /// The names of the programs that need no feature. If there is none, all
    /// names.
    pub(crate) fn describe(&self) -> String {
        let wanted = self.wanted();
        let sure = wanted.iter().filter(|it| it.features.is_empty());
        let sure: Vec<&str> = sure.map(|it| it.name).collect();
        if sure.is_empty() {
            let all: Vec<&str> = wanted.iter().map(|it| it.name).collect();
            return all.join(", ");
        }
        sure.join(", ")
    }
}

/// Fails if two programs have the same name.
pub(crate) fn each_once<'a>(
    programs: impl Iterator<Item = Wanted<'a>>,
) -> Result<(), SelectionError> {
    let mut known = BTreeMap::new();
    for program in programs {
        if let Some(first) = known.insert(program.name, program) {
            return Err(SelectionError::Twice {
                name: program.name.to_owned(),
                first: first.described(),
                second: program.described(),
            });
        }
    }
    Ok(())
}

/// The packages to build, and the values of `--package` for Cargo.
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
    let runnable = |package: &&Package| package.programs(Kind::Bin).next().is_some();
    if members.iter().any(runnable) || !settings.examples.is_empty() {
        return Ok((members, Vec::new()));
    }
    // The root package is a library, and other members have binaries.
    let others: Vec<&Package> = all.into_iter().filter(runnable).collect();
    if others.is_empty() {
        return Ok((members, Vec::new()));
    }
    let packages = others.iter().map(|package| package.name.clone()).collect();
    Ok((others, packages))
}

fn names(members: &[&Package], kind: Kind) -> Vec<String> {
    let programs = members.iter().flat_map(|package| package.programs(kind));
    programs.map(|program| program.name.to_owned()).collect()
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

fn without(members: &[Package]) -> String {
    match members {
        [package] => format!("{} is a library", package.name),
        _ => "the members of the workspace are libraries".to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// Makes packages with binaries. A name in brackets is an example. The text
    /// after a `?` is a required feature.
    pub(crate) fn workspace(packages: &[(&str, &[&str])]) -> Metadata {
        let target = |text: &&str| {
            let (name, feature) = text.split_once('?').unwrap_or((text, ""));
            let (name, kind) = match name.strip_prefix('[') {
                None => (name, "bin"),
                Some(example) => (example.trim_end_matches(']'), "example"),
            };
            let features = feature.split('?').filter(|it| !it.is_empty());
            Target {
                name: name.to_owned(),
                kind: vec![kind.to_owned()],
                required_features: features.map(str::to_owned).collect(),
            }
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

    fn refuse(metadata: &Metadata, settings: &Table) -> SelectionError {
        Selection::new(metadata, settings).unwrap_err()
    }

    #[test]
    fn a_library_alone_is_an_error_unless_an_example_is_chosen() {
        let library = workspace(&[("a", &["[demo]"])]);
        assert_eq!(
            refuse(&library, &Table::default()).to_string(),
            "there is no binary to build: a is a library"
        );
        let examples = vec!["demo".to_owned()];
        let settings = Table {
            examples,
            ..Table::default()
        };
        let selection = select(&library, &settings);
        assert_eq!(selection.wanted()[0].kind, Kind::Example);
        assert_eq!(selection.bins, Bins::Named(Vec::new()));
    }

    #[test]
    fn binaries_elsewhere_in_the_workspace_are_built_when_the_default_has_none() {
        let mut metadata = workspace(&[("lib", &[]), ("tool", &["tool"])]);
        metadata.workspace_default_members = vec!["lib".to_owned()];
        let selection = select(&metadata, &Table::default());
        assert_eq!(selection.packages, ["tool"]);
        assert_eq!(selection.wanted()[0].name, "tool");
    }

    #[test]
    fn what_is_not_there_names_what_is() {
        let bins = Table {
            bins: vec!["x".to_owned()],
            ..Table::default()
        };
        let metadata = workspace(&[("a", &["a"])]);
        assert_eq!(refuse(&metadata, &bins).hint(), "there are: a");
        let web = Table {
            web: Some("x".to_owned()),
            ..Table::default()
        };
        assert_eq!(refuse(&metadata, &web).hint(), "there are: a");
    }

    #[test]
    fn a_name_is_that_of_one_program() {
        let twice = workspace(&[("a", &["server"]), ("b", &["server", "tool"])]);
        assert_eq!(
            refuse(&twice, &Table::default()).to_string(),
            "two programs are called \"server\": the binary of a, and the binary of b"
        );
        let tool = Table {
            bins: vec!["tool".to_owned()],
            ..Table::default()
        };
        assert_eq!(select(&twice, &tool).wanted().len(), 1);
        let package = Table {
            packages: vec!["b".to_owned()],
            ..Table::default()
        };
        assert_eq!(select(&twice, &package).wanted().len(), 2);
        // It is not known yet whether Cargo builds both.
        let perhaps = workspace(&[("a", &["server"]), ("b", &["server?tls"])]);
        assert_eq!(select(&perhaps, &Table::default()).wanted().len(), 2);
    }
}
