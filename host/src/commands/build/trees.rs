//! Lists the files of a build: the application's source, and buildpacks that
//! the builder does not contain.

use std::path::Path;

use protocol::request::Buildpack;
use protocol::{Failure, FailureKind};

use crate::platform::home::Home;
use crate::project::{Boundary, Project};
use crate::settings::{BuildSettings, BuildpackChoice, InlineBuildpack, SourceFilter};
use crate::sync::source::{self, Parents, Rules, Scope, SourceError, SourceTree};

/// The buildpacks of a request.
pub(super) struct Buildpacks {
    /// Buildpacks to put first in each group.
    pub(super) pre: Vec<Buildpack>,
    /// The only group. Empty means the groups of the builder.
    pub(super) group: Vec<Buildpack>,
    /// Buildpacks to put last in each group.
    pub(super) post: Vec<Buildpack>,
}

/// Lists the application's source: the project's folder, or its archive.
pub(super) fn application(
    project: &Project,
    build: &BuildSettings,
    boundary: &Boundary,
    home: &Home,
) -> Result<SourceTree, Failure> {
    if let Some(archive) = &project.archive {
        let rules = Rules::of_project(&build.filter, &build.descriptor)?;
        return Ok(source::list(archive, &rules)?);
    }
    let own = home.own();
    if own.contains(&project.folder) {
        return Err(SourceError::Own(project.folder.clone()).into());
    }
    let rules = Rules::new(&project.folder, &build.filter, &build.descriptor, boundary)?;
    let rules = rules.with_gitignore(build.gitignore);
    let scope = Scope {
        rules: &rules,
        boundary,
        parents: Parents::Count,
        own: &own,
    };
    Ok(source::walk(&project.folder, scope)?)
}

/// Returns the application's tree followed by the trees of buildpacks, and the
/// buildpacks of the request.
pub(super) fn with_buildpacks(
    application: SourceTree,
    build: &BuildSettings,
) -> Result<(Vec<SourceTree>, Buildpacks), Failure> {
    let mut trees = vec![application];
    let mut list = |choices: &[BuildpackChoice]| {
        let buildpacks = choices
            .iter()
            .map(|choice| buildpack(choice, build, &mut trees));
        buildpacks.collect::<Result<Vec<_>, Failure>>()
    };
    let buildpacks = Buildpacks {
        pre: list(&build.pre_buildpacks)?,
        group: list(&build.buildpacks)?,
        post: list(&build.post_buildpacks)?,
    };
    Ok((trees, buildpacks))
}

/// Translates one buildpack of the settings. A folder or an inline script adds
/// a source tree.
fn buildpack(
    choice: &BuildpackChoice,
    build: &BuildSettings,
    trees: &mut Vec<SourceTree>,
) -> Result<Buildpack, Failure> {
    let tree = match choice {
        BuildpackChoice::Named(id) => return Ok(Buildpack::Named(id.clone())),
        BuildpackChoice::Image(image) => return Ok(Buildpack::Image(image.clone())),
        BuildpackChoice::Folder(path) => folder(path)?,
        BuildpackChoice::Inline(buildpack) => inline(buildpack, &build.descriptor)?,
    };
    // Settings cannot name this many buildpacks.
    let number = u16::try_from(trees.len()).unwrap_or(u16::MAX);
    trees.push(tree);
    Ok(Buildpack::Tree(number))
}

/// Lists a buildpack's folder. Ignore files of a repository around it do not
/// apply: they may exclude the buildpack's programs.
fn folder(folder: &Path) -> Result<SourceTree, Failure> {
    let boundary = Boundary::of(folder);
    let nowhere = folder.join("project.toml");
    let scope = Scope {
        rules: &Rules::new(folder, &SourceFilter::All, &nowhere, &boundary)?,
        boundary: &boundary,
        parents: Parents::Ignored,
        own: &[],
    };
    Ok(source::walk(folder, scope)?)
}

/// Returns the files of an inline buildpack (a script in a project.toml).
fn inline(buildpack: &InlineBuildpack, descriptor: &Path) -> Result<SourceTree, Failure> {
    let files = buildpack.files();
    let files = files.map_err(|error| Failure::from_error(FailureKind::Internal, &error))?;
    Ok(source::of_memory(descriptor, files))
}
