//! Adds hints to usage errors. Users of Docker, Compose and pack type commands
//! and flags that have another name in locald.

use clap::CommandFactory as _;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::Cli;

/// Commands of other tools, and the locald command to use instead.
const COMMANDS: [(&[&str], &str); 17] = [
    (
        &["exec"],
        "`locald run IMAGE --command -- PROGRAM` starts a program in an image, `locald shell -- PROGRAM` in the environment of its build",
    ),
    (
        &["start", "serve", "dev", "create"],
        "`locald up` starts the services of locald.toml, `locald run` builds a folder and starts it",
    ),
    (
        &["upgrade", "update", "self-update"],
        "install a newer locald as you installed this one; `locald vm upgrade` then brings its agent into a machine",
    ),
    (
        &["rm", "kill"],
        "`locald stop` stops services, `locald image rm` removes images",
    ),
    (
        &["compose"],
        "`locald up` starts the services of locald.toml",
    ),
    (
        &["init", "new"],
        "a project needs no file: begin with `locald build`",
    ),
    (
        &["save", "export"],
        "`locald image export IMAGE docker-archive:FILE` writes an image to a file",
    ),
    (
        &["load", "import"],
        "`locald image load docker IMAGE` brings an image into Docker",
    ),
    (&["system", "clean", "gc"], "`locald prune` frees space"),
    (
        &["info", "status", "check", "report"],
        "`locald doctor` checks this machine, `locald ps` shows services, `locald store` shows what is stored",
    ),
    (
        &["stats", "top", "containers"],
        "`locald ps` shows services",
    ),
    (
        &["attach"],
        "`locald logs --follow` shows what services write",
    ),
    (
        &["history", "sbom"],
        "`locald image inspect IMAGE` shows what an image is made of",
    ),
    (
        &["config", "builder", "builders", "suggest"],
        "`locald build -B IMAGE` names a builder; `builder` under [build] in locald.toml or config.toml names the usual one",
    ),
    (
        &["rebase"],
        "`locald build --pull always` builds on the newest run image",
    ),
    (
        &["test", "sh", "bash"],
        "`locald shell` opens a shell with the tools of the build, `locald shell -- PROGRAM` runs one of them",
    ),
    (&["machine"], "`locald vm` looks after the machine"),
];

/// Flags of other tools, the commands that they belong to (none means every
/// command), and what to use instead.
const FLAGS: [(&[&str], &[&str], &str); 14] = [
    (
        &["-p", "-P", "--publish", "--publish-all", "--port"],
        &["run", "up"],
        "locald maps no ports: a port that the process opens is on this system's localhost; `-e PORT=8080` sets the port of most processes",
    ),
    (
        &["-i", "-t", "-it", "-ti", "--interactive", "--tty"],
        &["run", "shell"],
        "a process that is started in a terminal has that terminal, without a flag",
    ),
    (
        &["--rm"],
        &["run", "shell"],
        "nothing is left of a process that has ended, without a flag",
    ),
    (
        &["-d", "--detach"],
        &["run", "up"],
        "processes end with the command that started them: leave it running, and use another terminal",
    ),
    (
        &["--volume", "--mount"],
        &["run", "shell", "build"],
        "`locald shell` shows the project's folder at /workspace; nothing else of this system is mounted",
    ),
    (
        &["--name"],
        &["run"],
        "a process has no name; services in locald.toml have one",
    ),
    (
        &["--entrypoint"],
        &["run"],
        "`locald run IMAGE --command -- PROGRAM` starts another program",
    ),
    (
        &["-f", "--file", "--dockerfile", "--target"],
        &["build"],
        "no Dockerfile is used: the builder's buildpacks find out how the folder is built",
    ),
    (
        &["--build-arg"],
        &["build"],
        "`-e NAME=VALUE` gives the build a variable",
    ),
    (
        &["--platform", "--arch"],
        &["build", "run", "pull"],
        "an image is for the machine that builds it: `--machine` names another one",
    ),
    (
        &[
            "--trust-builder",
            "--lifecycle-image",
            "--cache",
            "--cache-image",
        ],
        &["build"],
        "it needs no replacement: each builder is confined, brings its lifecycle, and has its caches kept",
    ),
    (
        &["--build", "--force-recreate"],
        &["up", "run"],
        "what has changed is always built, without a flag",
    ),
    (&["--no-color"], &[], "`--color never` leaves colours out"),
    (
        &["--debug"],
        &[],
        "`--verbose` shows all output of all phases",
    ),
];

/// Adds a hint to a usage error, if this module has one.
pub(super) fn add(mut error: clap::Error, words: &[String]) -> clap::Error {
    let said = |error: &clap::Error, kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            forget_hidden(&mut error);
            let command = said(&error, ContextKind::InvalidSubcommand).unwrap_or_default();
            // `vm` and `image` have commands of their own.
            of_command(&command).filter(|_| words.first() == Some(&command))
        }
        ErrorKind::UnknownArgument => {
            let flag = said(&error, ContextKind::InvalidArg).unwrap_or_default();
            let given = words.iter().find(|word| word.starts_with(&flag));
            of_flag(given.map_or(&flag, String::as_str), words).or_else(|| of_flag(&flag, words))
        }
        ErrorKind::ArgumentConflict if words.iter().any(|word| word.starts_with("--path")) => {
            Some("`--path` is the folder; `-t NAME` is the name of the image")
        }
        _ => None,
    };
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        let tips = vec![StyledStr::from(tip)];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// Removes hidden commands from clap's suggestions.
fn forget_hidden(error: &mut clap::Error) {
    let Some(ContextValue::Strings(names)) = error.get(ContextKind::SuggestedSubcommand) else {
        return;
    };
    let mut names = names.clone();
    let program = Cli::command();
    names.retain(|name| {
        let known = program.find_subcommand(name);
        known.is_none_or(|command| !command.is_hide_set())
    });
    error.remove(ContextKind::SuggestedSubcommand);
    if !names.is_empty() {
        error.insert(
            ContextKind::SuggestedSubcommand,
            ContextValue::Strings(names),
        );
    }
}

fn of_command(command: &str) -> Option<&'static str> {
    let mut rows = COMMANDS.iter();
    let row = rows.find(|(names, _)| names.contains(&command));
    row.map(|(_, tip)| *tip)
}

fn of_flag(flag: &str, words: &[String]) -> Option<&'static str> {
    let flag = flag.split('=').next().unwrap_or(flag);
    let is_asked = |commands: &[&str]| {
        commands.is_empty() || words.iter().any(|word| commands.contains(&word.as_str()))
    };
    let mut rows = FLAGS.iter();
    let row = rows.find(|(flags, commands, _)| flags.contains(&flag) && is_asked(commands));
    row.map(|(_, _, tip)| *tip)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::Parser as _;

    use super::*;

    fn told(line: &str) -> String {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let all = ["locald".to_owned()].into_iter().chain(words.clone());
        let error = Cli::try_parse_from(all).unwrap_err();
        add(error, &words).render().to_string()
    }

    #[test]
    fn foreign_words_get_hints() {
        let lines = [
            "exec web sh",
            "start",
            "upgrade",
            "run -p 8080:80 shop",
            "run shop -p8080:80",
            "run --publish=8080:80 shop",
            "run -it shop",
            "run --rm shop",
            "up -d",
            "build -f Dockerfile .",
            "build --no-color",
            "build shop --path web",
        ];
        let tips = lines.map(|line| {
            let told = told(line);
            let tips: Vec<_> = told.lines().filter(|line| line.contains("tip:")).collect();
            format!("{line}\n{}", tips.join("\n"))
        });
        insta::assert_snapshot!(tips.join("\n"));
    }

    #[test]
    fn hidden_commands_are_no_tip() {
        for line in ["man-page", "man", "imagse", "versions"] {
            let told = told(line);
            assert!(!told.contains("man-pages"), "{told}");
            assert!(!told.contains("'images'"), "{told}");
            assert!(!told.contains("'version'"), "{told}");
        }
        assert!(told("biuld").contains("'build'"));
    }

    #[test]
    fn other_commands_of_a_command_are_its_own() {
        assert!(!told("vm exec").contains("locald run"));
    }
}
