//! Keys at a Windows console reach the process, and its output the console.

use std::io::{Read as _, Write as _};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc;

use harness::{App, DEADLINE, builder, setting, unique};

use super::Windows;
use super::windows::path;

#[test]
fn an_interactive_process_has_the_console() {
    let windows = Windows::start();
    let (app, name) = (App::web(), unique("console"));
    let build = [
        "build",
        &path(app.path()),
        "-t",
        &name,
        "--builder",
        &builder(),
    ];
    windows.locald(build).succeed();
    let line = format!(
        "{} {}/locald.exe run {name} --command -- sh",
        setting("LOCALD_TEST_WINE"),
        setting("LOCALD_TEST_WINDOWS")
    );
    // A pseudo-terminal, on which Wine shows a console.
    let mut script = Command::new("script");
    script.args([
        "--quiet",
        "--flush",
        "--return",
        "--command",
        &line,
        "/dev/null",
    ]);
    windows.environment(|name, value| {
        script.env(name, value);
    });
    script.env("TERM", "xterm");
    let mut child = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = child.stdin.take().unwrap();
    let shown = child.stdout.take().unwrap();
    let shown = read_in_background(shown);
    let mut screen = Vec::new();
    let mut await_words = |words: &str| {
        while !String::from_utf8_lossy(&screen).contains(words) {
            match shown.recv_timeout(DEADLINE) {
                Ok(bytes) => screen.extend(bytes),
                Err(error) => panic!("{words:?}: {error}: {}", String::from_utf8_lossy(&screen)),
            }
        }
    };
    await_words("$");
    keys.write_all(b"echo six times seven is $((6*7)), on $(tty)\r")
        .unwrap();
    await_words("seven is 42, on /dev/pts/");
    // Ctrl-C ends what runs in the shell, not the shell.
    keys.write_all(b"sleep 1000\r").unwrap();
    keys.write_all(b"\x03").unwrap();
    keys.write_all(b"echo still $((40+3))\r").unwrap();
    await_words("still 43");
    keys.write_all(b"exit 7\r").unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(7));
}

fn read_in_background(mut stream: ChildStdout) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
