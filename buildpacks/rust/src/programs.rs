//! Finds the built programs of a selection, and the one that the image starts.

use std::path::PathBuf;

use crate::cargo::{Artefacts, CargoError};
use crate::error::BuildError;
use crate::output;
use crate::selection::{self, Bins, Kind, Selection, SelectionError, Wanted};

/// Programs that Cargo built.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Programs {
    /// The name and the path of each program.
    pub(crate) paths: Vec<(String, PathBuf)>,
    /// The name of the program that the image starts.
    pub(crate) web: Option<String>,
}

impl Programs {
    /// Finds the programs of a selection. Skips a binary whose features are not
    /// enabled, because Cargo does not build it.
    pub(crate) fn of(selection: &Selection, artefacts: &Artefacts) -> Result<Self, BuildError> {
        let (mut built, mut paths, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for program in selection.wanted() {
            let path = artefacts.program(program.package, program.kind, program.name);
            match path {
                Some(path) if path.is_file() => {
                    built.push(program);
                    paths.push((program.name.to_owned(), path));
                }
                None if may_be_left_out(selection, &program) => left_out.push(program),
                path => {
                    let name = program.name.to_owned();
                    let path = path.unwrap_or_default();
                    return Err(CargoError::NoProgram { name, path }.into());
                }
            }
        }
        selection::each_once(built.iter().copied())?;
        if built.is_empty() {
            let needs = left_out.iter().map(Wanted::needs).collect();
            return Err(SelectionError::Features { needs }.into());
        }
        let web = web(selection, &built, &left_out)?;
        for program in left_out {
            output::warning(&format!("{}: it is not built", program.needs()));
        }
        Ok(Self { paths, web })
    }
}

fn may_be_left_out(selection: &Selection, program: &Wanted<'_>) -> bool {
    program.kind == Kind::Bin && selection.bins == Bins::All && !program.features.is_empty()
}

/// The program that the image starts. Precedence: the setting `web`, the only
/// program, `default-run`, the program `web`, the program with the name of its
/// package. A user can start the others by their names.
fn web(
    selection: &Selection,
    built: &[Wanted<'_>],
    left_out: &[Wanted<'_>],
) -> Result<Option<String>, SelectionError> {
    if let Some(name) = &selection.web {
        let missing = left_out.iter().find(|it| it.name == name);
        return match missing {
            Some(program) if !built.iter().any(|it| it.name == name) => Err(SelectionError::Web {
                name: name.clone(),
                needs: program.needs(),
            }),
            _ => Ok(Some(name.clone())),
        };
    }
    if let [only] = built {
        return Ok(Some(only.name.to_owned()));
    }
    let bin = |name: &&str| {
        let mut programs = built.iter();
        programs.any(|it| it.kind == Kind::Bin && it.name == *name)
    };
    let members = &selection.members;
    let default_runs = members.iter().filter_map(|it| it.default_run.as_deref());
    let of_package = match &members[..] {
        [package] => Some(&*package.name),
        _ => None,
    };
    let mut choices = default_runs.chain(["web"]).chain(of_package);
    Ok(choices.find(bin).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::cargo::Program;
    use crate::selection::Metadata;
    use crate::selection::tests::workspace;
    use crate::settings::Table;

    /// Simulates a build of the programs that need no feature, and of all in
    /// `enabled`.
    fn programs(
        metadata: &Metadata,
        settings: &Table,
        enabled: &[&str],
    ) -> Result<Programs, BuildError> {
        let selection = Selection::new(metadata, settings).unwrap();
        let mut built = selection.wanted();
        built.retain(|it| it.features.iter().all(|name| enabled.contains(&&**name)));
        let program = |it: Wanted<'_>| Program {
            package_id: it.package.id.clone(),
            kind: it.kind,
            name: it.name.to_owned(),
            path: std::env::current_exe().unwrap(),
        };
        let artefacts = Artefacts {
            programs: built.into_iter().map(program).collect(),
            ..Artefacts::default()
        };
        Programs::of(&selection, &artefacts)
    }

    #[test]
    fn the_process_to_start_is_found_as_cargo_run_finds_it() {
        let web = |metadata: &Metadata| {
            let programs = programs(metadata, &Table::default(), &[]);
            programs.unwrap().web
        };
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
    fn a_binary_whose_features_are_not_enabled_is_left_out() {
        let mut metadata = workspace(&[("shop", &["shop", "admin?ui?tls"])]);
        metadata.packages[0].default_run = Some("admin".to_owned());
        let without = programs(&metadata, &Table::default(), &["ui"]).unwrap();
        assert_eq!(without.paths.len(), 1);
        assert_eq!(without.web.as_deref(), Some("shop"));
        let with = programs(&metadata, &Table::default(), &["ui", "tls"]).unwrap();
        assert_eq!(with.paths.len(), 2);
        assert_eq!(with.web.as_deref(), Some("admin"));
    }

    #[test]
    fn features_that_are_missing_are_named() {
        let metadata = workspace(&[("shop", &["admin?ui?tls"])]);
        let error = programs(&metadata, &Table::default(), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nothing is built: admin needs the features `ui` and `tls` of shop, which are not enabled"
        );
        let metadata = workspace(&[("shop", &["shop", "admin?ui"])]);
        let web = Table {
            web: Some("admin".to_owned()),
            ..Table::default()
        };
        let error = programs(&metadata, &web, &[]).unwrap_err();
        assert!(error.hint().unwrap().contains("BP_CARGO_FEATURES"));
        let started = programs(&metadata, &web, &["ui"]).unwrap().web;
        assert_eq!(started.as_deref(), Some("admin"));
    }

    #[test]
    fn two_programs_of_one_name_are_refused_when_both_are_built() {
        let metadata = workspace(&[("a", &["server"]), ("b", &["server?tls"])]);
        let without = programs(&metadata, &Table::default(), &[]).unwrap();
        assert_eq!(without.web.as_deref(), Some("server"));
        let error = programs(&metadata, &Table::default(), &["tls"]).unwrap_err();
        assert!(error.to_string().starts_with("two programs are called"));
    }
}
