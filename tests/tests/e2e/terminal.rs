//! What people see, in a terminal of theirs.

use harness::{App, Terminal, await_that, builder, processes, unique};

#[test]
fn a_build_keeps_its_lines_through_new_sizes_and_a_suspension() {
    let seconds = format!("3.{}", std::process::id());
    let app = App::probe(&format!(
        "printf 'warning: odd\\n\\tby a tab\\n\\n'; printf '👩\u{200d}👧 joined\\ttab\\n日本語\\n'\n\
         echo a line that is longer than forty columns are, and than thirty; sleep {seconds}\n"
    ));
    let sleep = format!("sleep {seconds}");
    let terminal = Terminal::open(40, 14);
    let name = unique("seen");
    let (path, builder) = (app.text(), builder());
    terminal.enter(&format!(
        "clear; locald build {path} -t {name} -B {builder}"
    ));
    terminal.await_text("a line that is longer");
    for columns in [100, 30, 60] {
        terminal.resize(columns, 14);
        terminal.await_text("a line that is longer");
    }
    terminal.key("C-z");
    terminal.await_text("Stopped");
    let text = terminal.text();
    assert!(!text.contains("BUILDING"), "a live line is left: {text}");
    if std::env::var("LOCALD_TEST_MODE").as_deref() == Ok("in-process") {
        await_that("the container stands still", || {
            processes(&sleep).iter().all(|pid| is_stopped(pid))
        });
    }
    terminal.enter("fg");
    terminal.await_text("start it:");
    terminal.resize(200, 30);
    let text = terminal.text();
    let lines: Vec<_> = text.lines().collect();
    let after_fg = lines.iter().position(|line| *line == "$ fg").unwrap();
    let phases = lines.iter().filter(|line| line.starts_with("===> "));
    assert_eq!(phases.count(), 5, "{text}");
    assert!(lines[after_fg + 2].starts_with("===> BUILDING"), "{text}");
    let warnings = lines
        .iter()
        .position(|line| *line == "warnings of the build:");
    let warnings = warnings.unwrap_or_else(|| panic!("no warnings: {text}"));
    assert_eq!(lines[warnings + 1], "  warning: odd", "{text}");
    assert_eq!(lines[warnings + 2], "        by a tab", "{text}");
    assert!(!text.contains("joined"), "live lines are left: {text}");
}

#[test]
fn ctrl_c_and_failures_leave_what_matters() {
    let app = App::probe("printf '\\tat Main.main\\n'; exit 7\n");
    let terminal = Terminal::open(80, 24);
    let name = unique("seen");
    // The builder is remembered.
    let (path, builder) = (app.text(), builder());
    terminal.enter(&format!(
        "clear; locald build {path} -t {name} -B {builder}"
    ));
    terminal.await_text("full log:");
    let text = terminal.text();
    let failure = "===> BUILDING\n        at Main.main\n\
                   error: a buildpack failed, test/probe 1.0.0 (build, exit code 51)\n  \
                   cause: exit status 7\n";
    assert!(text.contains(failure), "{text}");
    app.write("probe.sh", "echo much; exec sleep 300\n");
    terminal.enter(&format!("clear; locald build {path} -t {name}"));
    terminal.await_text("  much");
    terminal.key("C-c");
    terminal.await_text("full log:");
    let text = terminal.text();
    assert!(text.contains("\nerror: stopped\n"), "{text}");
    assert!(!text.contains("much"), "{text}");
}

/// Of a process as `PID: COMMAND LINE`.
fn is_stopped(process: &str) -> bool {
    let pid = process.split(':').next().unwrap();
    let status = fs_err::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| status.contains("State:\tT"))
}
