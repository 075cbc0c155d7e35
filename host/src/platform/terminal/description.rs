//! Reads from the environment which terminal this is.

use protocol::request::EnvVar;

/// The default of `TERM`, as Docker has it. Windows' terminals support more,
/// and set no name.
const UNNAMED: &str = if cfg!(windows) {
    "xterm-256color"
} else {
    "xterm"
};
/// The locale that every image has.
const LANGUAGE: &str = "C.UTF-8";

/// Returns the variables for the terminal's name, its colours and its character
/// set. The user's language is not one of them: images seldom have its locale,
/// and programs warn about a missing one.
pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Vec<EnvVar> {
    let mut found = vec![set("TERM", variable("TERM").unwrap_or(UNNAMED.to_owned()))];
    found.extend(variable("COLORTERM").map(|value| set("COLORTERM", value)));
    let mut locales = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let locale = locales.find_map(&variable);
    if locale.map_or(cfg!(windows), |locale| is_unicode(&locale)) {
        found.push(set("LANG", LANGUAGE.to_owned()));
    }
    found
}

/// Whether a locale has the character set UTF-8: `de_DE.UTF-8`,
/// `C.utf8@modifier` (`locale(7)`).
fn is_unicode(locale: &str) -> bool {
    let charset = locale.split_once('.').map_or("", |(_, charset)| charset);
    let charset = charset.split('@').next().unwrap_or_default();
    ["utf-8", "utf8"]
        .iter()
        .any(|it| charset.eq_ignore_ascii_case(it))
}

fn set(name: &str, value: String) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn said(environment: &[(&str, &str)]) -> Vec<String> {
        let lookup = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = of(lookup).into_iter();
        found
            .map(|it| format!("{}={}", it.name, it.value))
            .collect()
    }

    #[test]
    fn a_terminal_has_its_own_name_or_the_usual_one() {
        assert_eq!(said(&[]), ["TERM=xterm"]);
        let kitty = [("TERM", "xterm-kitty"), ("COLORTERM", "truecolor")];
        assert_eq!(said(&kitty), ["TERM=xterm-kitty", "COLORTERM=truecolor"]);
    }

    #[test]
    fn unicode_is_passed_on_and_the_language_is_not() {
        let unicode = ["TERM=xterm", "LANG=C.UTF-8"];
        assert_eq!(said(&[("LANG", "de_DE.UTF-8")]), unicode);
        assert_eq!(said(&[("LC_ALL", "en_US.utf8@x"), ("LANG", "C")]), unicode);
        for locale in ["C", "POSIX", "de_DE.ISO-8859-1", "de_DE"] {
            assert_eq!(
                said(&[("LC_CTYPE", locale), ("LANG", "x.UTF-8")]),
                ["TERM=xterm"]
            );
        }
    }
}
