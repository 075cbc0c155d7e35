//! Explains the exit codes of the lifecycle: CNB platform specification, "Exit
//! Codes".

use protocol::event::Phase;

/// The exit code of a Go program that panics or runs out of memory. The
/// specification does not define it.
pub const CRASHED: u8 = 2;

/// Explains an exit code of a phase. Returns the meaning and, if there is one,
/// a hint. `buildpack` is the one that ran last, if that is known.
pub fn explain(phase: Phase, code: u8, buildpack: Option<&str>) -> (String, Option<&'static str>) {
    let meaning = match code {
        CRASHED => "the lifecycle crashed",
        3 => "the lifecycle does not understand its arguments",
        11 => "the lifecycle does not speak this version of the Platform API",
        12 => "a buildpack needs a version of the Buildpack API that the lifecycle does not speak",
        20 => "no buildpack can build this source",
        21 => "no buildpack can build this source, and one of them failed while it looked",
        22 => "the buildpacks could not be tried",
        32 => "the previous image or the run image could not be analyzed",
        42 => "cached layers could not be restored",
        51 => "a buildpack failed",
        52 => "the build failed",
        62 => "the image could not be exported",
        91 | 92 | 102 => "an image extension failed",
        137 => "the phase was killed: out of memory?",
        129.. => {
            return (
                format!("{} was ended by signal {}", phase.name(), code - 128),
                None,
            );
        }
        _ => {
            return (
                format!("{} failed with exit code {code}", phase.name()),
                None,
            );
        }
    };
    let hint = match code {
        20 | 21 => Some(
            "check that the folder is the root of the application; `-v` shows what each buildpack looked for, `--builder` and `-b` choose others",
        ),
        CRASHED => Some("its own message is above; `-v` shows more"),
        12 => Some("use a newer version of the builder"),
        32 | 42 => Some("`--clear-cache` builds without what earlier builds left"),
        137 => Some("give the machine more memory, or let the build run fewer jobs"),
        _ => None,
    };
    let which = buildpack.filter(|_| code == 51);
    let which = which.map_or(String::new(), |buildpack| format!(", {buildpack}"));
    (
        format!("{meaning}{which} ({}, exit code {code})", phase.name()),
        hint,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_explained() {
        let (message, hint) = explain(Phase::Detect, 20, None);
        assert_eq!(
            message,
            "no buildpack can build this source (detect, exit code 20)"
        );
        assert!(hint.is_some());
        let (message, _) = explain(Phase::Build, 51, Some("a/b 1.0"));
        assert_eq!(message, "a buildpack failed, a/b 1.0 (build, exit code 51)");
        assert_eq!(
            explain(Phase::Analyze, CRASHED, None).0,
            "the lifecycle crashed (analyze, exit code 2)"
        );
        assert_eq!(
            explain(Phase::Build, 143, None).0,
            "build was ended by signal 15"
        );
        assert_eq!(
            explain(Phase::Build, 7, None).0,
            "build failed with exit code 7"
        );
    }
}
