//! What people read of a build, in the form that locald and other platforms
//! expect of buildpacks.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a buildpack speaks by its standard streams"
)]

/// A step begins.
pub(crate) fn step(text: &str) {
    println!("===> {text}");
}

/// A detail of a step.
pub(crate) fn detail(text: &str) {
    println!("     {text}");
}

/// Something that works, but may not be what was meant.
pub(crate) fn warning(text: &str) {
    eprintln!("warning: {text}");
}

/// Why the build has failed, and what to do.
pub(crate) fn error(error: &dyn std::error::Error, hint: Option<&str>) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    if let Some(hint) = hint {
        eprintln!("  hint: {hint}");
    }
}

/// A line of another program.
pub(crate) fn pass_on(line: &str) {
    eprintln!("{line}");
}
