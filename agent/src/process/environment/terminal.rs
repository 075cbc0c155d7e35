//! Computes the variables that describe the user's terminal to a program.

use protocol::request::EnvVar;

use crate::store::layer::merged::Merged;

const TERM: &str = "TERM";
/// The directories of an image's terminal descriptions: `terminfo(5)`.
const DATABASES: [&str; 4] = [
    "etc/terminfo",
    "lib/terminfo",
    "usr/share/terminfo",
    "usr/lib/terminfo",
];
/// Types that nearly all terminals support, the better one first.
const USUAL: [&str; 2] = ["xterm-256color", "xterm"];

/// The variables of the host's terminal. If the image has no description of
/// this terminal and has one of a usual terminal, `TERM` names the usual one.
/// Otherwise programs could not use the terminal at all.
pub(crate) fn known(said: &[EnvVar], image: Merged<'_>) -> Vec<EnvVar> {
    let mut variables = said.to_vec();
    if let Some(term) = variables.iter_mut().find(|it| it.name == TERM)
        && !knows(image, &term.value)
        && let Some(usual) = USUAL.into_iter().find(|it| knows(image, it))
    {
        usual.clone_into(&mut term.value);
    }
    variables
}

/// Whether an image describes a terminal. Descriptions are in a directory named
/// after their first letter.
fn knows(image: Merged<'_>, terminal: &str) -> bool {
    let Some(first) = terminal.chars().next().filter(|_| !terminal.contains('/')) else {
        return false;
    };
    let mut places = DATABASES.iter();
    places.any(|place| image.has_file(&format!("{place}/{first}/{terminal}")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_terminal_that_the_image_does_not_know_has_a_usual_name() {
        let layer = tempfile::tempdir().unwrap();
        let layers = [layer.path().to_owned()];
        let named = |terminal: &str| {
            let said = ["COLORTERM", TERM].map(|name| EnvVar {
                name: name.to_owned(),
                value: terminal.to_owned(),
            });
            let [colour, term] = known(&said, Merged(&layers)).try_into().unwrap();
            assert_eq!(colour.value, terminal);
            term.value
        };
        // Without descriptions, programs only use the name.
        assert_eq!(named("xterm-kitty"), "xterm-kitty");
        for (place, terminal) in [
            ("lib/terminfo/x", "xterm"),
            ("usr/share/terminfo/t", "tmux"),
        ] {
            fs_err::create_dir_all(layer.path().join(place)).unwrap();
            fs_err::write(layer.path().join(place).join(terminal), "").unwrap();
        }
        assert_eq!(named("xterm-kitty"), "xterm");
        assert_eq!(named("tmux"), "tmux");
        assert_eq!(named(""), "xterm");
        assert_eq!(named("../x/xterm"), "xterm");
    }
}
