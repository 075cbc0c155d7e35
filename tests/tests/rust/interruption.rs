//! Ctrl-C while Cargo works.

use std::time::{Duration, Instant};

use harness::{CargoProject, await_that, compiled, processes};
use rustix::process::Signal;

#[test]
fn a_build_script_that_hangs_ends_with_ctrl_c() {
    let main = "fn main() { println!(\"{}\", itoa::Buffer::new().format(7)); }";
    let project = CargoProject::new("hangs", "itoa = \"1\"", main);
    let seconds = format!("9{}", std::process::id());
    let script = format!(
        "fn main() {{ std::process::Command::new(\"sleep\").arg(\"{seconds}\").status().unwrap(); }}"
    );
    project.app.write("build.rs", &script);
    project.lock();
    let building = project.locald(&["-v"]).start();
    let sleep = format!("sleep {seconds}");
    await_that("the script sleeps", || !processes(&sleep).is_empty());
    building.signal(Signal::INT);
    let start = Instant::now();
    assert_eq!(building.wait().code, 130);
    await_that("the script is gone", || processes(&sleep).is_empty());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "took {took:?}");

    project.app.write("build.rs", "fn main() {}");
    let said = project.build(&[]);
    assert!(compiled(&said).contains(&"hangs"), "{said}");
    assert_eq!(project.run(&[]).stdout, "7\n");
}
