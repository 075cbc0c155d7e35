//! A web application, and what is compiled again when something changes.

use harness::{CargoProject, compiled, free_port, locald};
use rustix::process::Signal;

const DEPENDENCIES: &str = r#"
axum = "0.8"
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
"#;
const MAIN: &str = r#"
#[tokio::main]
async fn main() {
    let app = axum::Router::new().route("/", axum::routing::get(async || "good day"));
    let port = std::env::var("PORT").unwrap();
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    println!("listening on {port}");
    axum::serve(listener, app).await.unwrap();
}
"#;

fn page(image: &str, env: &[&str], port: &str) -> String {
    let mut running = locald([&["run", image], env].concat()).start();
    running.await_output("listening on");
    let page = harness::page(port);
    running.signal(Signal::TERM);
    running.wait();
    page
}

#[test]
fn an_axum_server_is_built_once_and_then_only_what_changed() {
    let project = CargoProject::new("shop", DEPENDENCIES, MAIN);
    project.lock();
    let first = project.build(&[]);
    assert!(compiled(&first).contains(&"axum"), "{first}");
    let port = free_port().to_string();
    let variable = format!("PORT={port}");
    assert!(page(project.image(), &["-e", &variable], &port).contains("good day"));

    project
        .app
        .write("src/main.rs", &MAIN.replace("good day", "good night"));
    let changed = project.build(&[]);
    assert_eq!(compiled(&changed), ["shop"], "{changed}");
    assert!(page(project.image(), &["-e", &variable], &port).contains("good night"));

    // The same content, as new as can be: nothing to compile, nothing to build.
    project
        .app
        .write("src/main.rs", &MAIN.replace("good day", "good night"));
    let same = project.build(&[]);
    assert!(same.contains("up to date"), "{same}");
    let forced = project.build(&["--force"]);
    assert_eq!(compiled(&forced), [""; 0], "{forced}");

    // An older file is a change as well.
    project.app.write("src/main.rs", MAIN);
    let file = fs_err::File::options()
        .write(true)
        .open(project.app.path().join("src/main.rs"));
    file.unwrap()
        .file()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    let back = project.build(&[]);
    assert_eq!(compiled(&back), ["shop"], "{back}");

    // What a failed build compiled is kept.
    project.app.write("src/main.rs", "fn main() { nonsense }");
    project.locald(&[]).fail(51, "cannot find value `nonsense`");
    project
        .app
        .write("src/main.rs", &MAIN.replace("good day", "good morning"));
    let mended = project.build(&[]);
    assert_eq!(compiled(&mended), ["shop"], "{mended}");
}

#[test]
fn clearing_the_cache_compiles_everything() {
    let project = CargoProject::new(
        "clear",
        "itoa = \"1\"",
        "fn main() { println!(\"{}\", itoa::Buffer::new().format(7)); }",
    );
    project.lock();
    project.build(&[]);
    let cleared = project.build(&["--clear-cache"]);
    assert_eq!(compiled(&cleared), ["itoa", "clear"], "{cleared}");
    assert_eq!(project.run(&[]).stdout, "7\n");
}
