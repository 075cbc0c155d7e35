//! Selects the services that start, and their order.

use std::collections::BTreeMap;

use protocol::{Failure, FailureKind, OPENED};

use crate::project::Project;
use crate::settings::{Service, Settings, levels, nearest};

/// The maximum number of services. Each has a stream of the agent's connection,
/// and a second one during a health check.
const MOST: usize = OPENED / 5;

/// The services to run.
pub(super) struct SelectedServices {
    /// Dependencies come before the services that need them.
    pub(super) all: Vec<Service>,
    /// Names of services by level. Each level depends on earlier levels only.
    pub(super) levels: Vec<Vec<String>>,
}

impl SelectedServices {
    /// Selects the named services and their dependencies. No names select all
    /// services.
    pub(super) fn choose(
        project: &Project,
        settings: &Settings,
        names: &[String],
    ) -> Result<Self, Failure> {
        let known = settings.services();
        if known.is_empty() {
            let file = project.folder.join("locald.toml");
            let message = if file.exists() {
                format!("{} names no service", file.display())
            } else {
                format!("there is no {}, which lists the services", file.display())
            };
            let failure = Failure::new(FailureKind::Invalid, message);
            return Err(failure.with_hint(
                "add a table `[services.web]` with a `port`; `locald run --watch` needs none",
            ));
        }
        let mut chosen: BTreeMap<&str, &Service> = BTreeMap::new();
        let mut wanted: Vec<&String> = match names {
            [] => known.keys().collect(),
            names => names.iter().collect(),
        };
        while let Some(name) = wanted.pop() {
            let service = known.get(name).ok_or_else(|| unknown(name, known.keys()))?;
            if chosen.insert(name, service).is_none() {
                wanted.extend(&service.depends_on);
            }
        }
        if chosen.len() > MOST {
            let message = format!(
                "{} services are more than run at a time: {MOST}",
                chosen.len()
            );
            let failure = Failure::new(FailureKind::Invalid, message);
            return Err(failure.with_hint("name some of them: `locald up SERVICE…`"));
        }
        let needs = chosen.iter().map(|(name, it)| (*name, &it.depends_on[..]));
        // The settings have no dependency cycle: their parser refuses one.
        let levels = levels(&needs.collect()).unwrap_or_default();
        let in_order = levels.iter().flatten();
        let all = in_order
            .filter_map(|name| known.get(name))
            .cloned()
            .collect();
        Ok(Self { all, levels })
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Failure {
    let known: Vec<String> = known.cloned().collect();
    let hint = match nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("locald.toml has {}", known.join(", ")),
    };
    let message = format!("locald.toml has no service {name:?}");
    Failure::new(FailureKind::Invalid, message).with_hint(hint)
}
