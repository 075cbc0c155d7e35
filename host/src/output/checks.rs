//! Formats the checks of `locald doctor`.

use protocol::event::{Check, Verdict};
use serde_json::{Value, json};

use super::sanitise::clean;
use super::style::Style;

pub(super) fn lines(checks: &[Check], style: Style) -> Vec<String> {
    let names = checks
        .iter()
        .map(|check| clean(&check.name))
        .collect::<Vec<_>>();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();
    let mut lines = Vec::new();
    for (check, name) in checks.iter().zip(names) {
        let mark = match check.verdict {
            Verdict::Good => style.good("good    "),
            Verdict::Degraded => style.warning("degraded"),
            Verdict::Bad => style.error("bad     "),
        };
        lines.push(format!("{mark}  {name:width$}  {}", clean(&check.detail)));
        if let Some(remedy) = &check.remedy {
            lines.push(format!(
                "          {} {}",
                style.hint("hint:"),
                clean(remedy)
            ));
        }
    }
    let count = |wanted| {
        checks
            .iter()
            .filter(|check| check.verdict == wanted)
            .count()
    };
    lines.push(String::new());
    lines.push(match (count(Verdict::Bad), count(Verdict::Degraded)) {
        (0, 0) => "This machine has all that locald needs.".to_owned(),
        (0, _) => "locald works on this machine, if less well.".to_owned(),
        (bad, _) => format!("locald cannot work before {bad} of these are mended."),
    });
    lines
}

pub(super) fn json(check: &Check) -> Value {
    json!({
        "name": check.name,
        "verdict": verdict(check.verdict),
        "detail": check.detail,
        "remedy": check.remedy,
    })
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Degraded => "degraded",
        Verdict::Bad => "bad",
    }
}
