//! Prints messages for the user, in the format that locald and other platforms
//! expect of buildpacks.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a buildpack speaks by its standard streams"
)]

/// Prints the start of a step.
pub(crate) fn step(text: &str) {
    println!("===> {text}");
}

/// Prints a detail of a step.
pub(crate) fn detail(text: &str) {
    println!("     {text}");
}

/// Prints a warning: the build goes on, perhaps not as the user intended.
pub(crate) fn warning(text: &str) {
    eprintln!("warning: {text}");
}

/// Prints the error that ends the build, and a hint.
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

/// Prints a line of another program.
pub(crate) fn pass_on(line: &str) {
    eprintln!("{line}");
}
