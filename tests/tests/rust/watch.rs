//! The development loop of a web application.

use std::time::Instant;

use harness::{App, CargoProject, await_that, free_port, locald, rust_builder, unique};

const MAIN: &str = r#"
use std::io::{Read as _, Write as _};
fn main() {
    let port = std::env::var("PORT").unwrap();
    let listener = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    println!("listening on {port}");
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\ngood day");
    }
}
"#;

/// Settings by which a folder is built without a flag.
fn settings(app: &App) {
    let (builder, name) = (rust_builder(), unique("watched"));
    let text = format!("[build]\nbuilder = \"{builder}\"\nname = \"{name}\"\n");
    app.write("locald.toml", &text);
}

#[test]
#[expect(clippy::print_stderr, reason = "the time is for people to read")]
fn one_changed_line_is_compiled_and_answers() {
    let project = CargoProject::new("watched", "itoa = \"1\"", MAIN);
    project.lock();
    settings(&project.app);
    let port = free_port().to_string();
    let variable = format!("PORT={port}");
    let folder = project.app.text();
    let mut running = locald(["run", &folder, "--watch", "-e", &variable]).start();
    running.await_output("listening on");
    assert!(harness::page(&port).contains("good day"));

    let saved = Instant::now();
    project
        .app
        .write("src/main.rs", &MAIN.replace("good day", "good night"));
    await_that("the answer is the new one", || {
        harness::page(&port).contains("good night")
    });
    let answered = saved.elapsed();
    let built = running.await_line("src/main.rs changed: built");
    eprintln!("from save to answer {answered:?}; {built}");

    // The compiler's own words, and the old answer.
    project.app.write("src/main.rs", "fn main() { nonsense }");
    running.await_output("cannot find value `nonsense`");
    running.await_output("The old process keeps running");
    assert!(harness::page(&port).contains("good night"));
}
