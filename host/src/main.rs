//! `locald`, as a program.

fn main() -> std::process::ExitCode {
    locald::main()
}
