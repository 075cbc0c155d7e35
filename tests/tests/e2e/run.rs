//! `locald run`.

use harness::{App, await_that, free_port, locald, unique};
use rustix::process::Signal;

use super::build;

fn web() -> String {
    let name = unique("run");
    build(&App::web(), &name);
    name
}

#[test]
fn a_web_process_answers_and_ends_by_a_signal() {
    let name = web();
    let port = free_port().to_string();
    let mut running = locald(["run", &name, "-e", &format!("PORT={port}")]).start();
    running.await_output("listening on");
    let page = harness::page(&port);
    assert!(page.contains("Hello from an image"), "{page}");
    assert!(page.contains("user 1001, in /workspace"), "{page}");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, 143);
}

#[test]
fn processes_arguments_and_commands() {
    let name = web();
    let worker = locald(["run", &name, "worker"]).succeed();
    assert_eq!(worker.stdout, "worker\n");
    let command = [
        "run",
        "--command",
        &name,
        "--",
        "sh",
        "-c",
        "echo $PYTHONUNBUFFERED; exit 7",
    ];
    let output = locald(command).run();
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (7, "1\n"),
        "{}",
        output.stderr
    );
    locald(["run", &name, "clock"]).fail(111, "web, worker");
}

#[test]
fn standard_input_and_its_end_reach_the_process() {
    let name = web();
    let output = locald(["run", "--command", &name, "--", "wc", "-c"])
        .input(&"x".repeat(3_000_000))
        .succeed();
    assert_eq!(output.stdout.trim(), "3000000");
}

#[test]
fn much_output_arrives_whole() {
    let name = web();
    let command = [
        "run",
        "--command",
        &name,
        "--",
        "sh",
        "-c",
        "head -c 5000000 /dev/zero | tr '\\0' x",
    ];
    assert_eq!(locald(command).succeed().stdout.len(), 5_000_000);
}

#[test]
fn a_folder_is_built_and_run() {
    let app = App::web();
    app.write(
        "locald.toml",
        &format!(
            "[build]\nbuilder = \"{}\"\nname = \"{}\"\n",
            harness::builder(),
            unique("folder")
        ),
    );
    let output = locald(["run", &app.text(), "worker"]).succeed();
    assert!(output.stdout.ends_with("worker\n"), "{}", output.stdout);
}

#[test]
fn a_killed_host_leaves_no_process() {
    let name = web();
    let mark = format!("{}", 100_000 + std::process::id());
    let command = [
        "run",
        "--command",
        &name,
        "--",
        "sh",
        "-c",
        &format!("echo up; exec sleep {mark}"),
    ];
    let mut running = locald(command).start();
    running.await_output("up");
    running.signal(Signal::KILL);
    running.wait();
    await_that("the process is gone", || {
        harness::processes(&format!("sleep {mark}")).is_empty()
    });
}

/// Some tools write layers without the directories that their files are in.
#[test]
fn a_layer_that_lists_no_directories_leaves_them_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let script = "set -e; cd \"$1\"
        mkdir -p below/usr/lib above/lib above/tmp
        ln -s usr/lib below/lib
        echo below > below/usr/lib/below
        touch below/usr/lib/gone above/lib/.wh.gone above/tmp/file
        mkdir -m 1777 below/tmp
        echo above > above/lib/above
        tar -cf below.tar -C below .
        tar -cf above.tar -C above --no-recursion lib/above lib/.wh.gone tmp/file";
    let path = folder.path().to_str().unwrap();
    harness::Reader("sh").run(&["-c", script, "layers", path]);
    let layers = ["below.tar", "above.tar"].map(|name| folder.path().join(name));
    let image = harness::busybox_below("gaps", &layers.each_ref().map(std::path::PathBuf::as_path));
    locald(["pull", &image]).succeed();
    let script = "cd /lib; PATH=; /bin/busybox pwd -P; for file in *; do echo $file; done
        /bin/busybox stat -c %a /tmp; /bin/busybox cat /usr/lib/above below";
    let output = locald(harness::in_busybox(&image, script)).succeed();
    let expected = "/usr/lib\nabove\nbelow\n1777\nabove\nbelow\n";
    assert_eq!(output.stdout, expected);
}
