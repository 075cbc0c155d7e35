//! The program as its users see it: a real registry, the real lifecycle, real
//! containers.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod accounts;
mod agent;
mod archive;
mod build;
mod confinement;
mod descriptor;
mod errors;
mod faults;
mod folder;
mod hostile;
mod hostile_lifecycle;
mod image;
mod interruption;
mod odd_images;
mod private_network;
mod registry_faults;
mod run;
mod run_image;
mod shell;
mod source;
mod space;
mod store;
mod surroundings;
mod terminal;
mod together;
mod up;
mod watch;

use harness::{App, Output, locald};

/// Builds an application under a name.
fn build(app: &App, name: &str) -> Output {
    app.build(name).succeed()
}

/// The digest of a stored image.
fn digest(name: &str) -> String {
    let output = locald(["image", "inspect", name, "--json"]).succeed();
    let document: serde_json::Value = serde_json::from_str(output.stdout.trim()).unwrap();
    document["digest"].as_str().unwrap().to_owned()
}
