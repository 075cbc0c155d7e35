//! Builders whose run image has mirrors.

use harness::{App, Distribution, PrivateRegistry, Reader, builder, locald, registry, unique};
use serde_json::{Value, json};

const BUILDER: &str = "io.buildpacks.builder.metadata";
const LIFECYCLE: &str = "io.buildpacks.lifecycle.metadata";

/// The builder's metadata, and its run image.
fn metadata() -> (Value, String) {
    let config = Reader("crane").run(&["config", "--insecure", &builder()]);
    let config: Value = serde_json::from_str(&config).unwrap();
    let label = config["config"]["Labels"][BUILDER].as_str().unwrap();
    let metadata: Value = serde_json::from_str(label).unwrap();
    let run = metadata["stack"]["runImage"]["image"].as_str().unwrap();
    let run = run.to_owned();
    (metadata, run)
}

/// The same builder with other run images.
fn with_run_image(image: &str, mirrors: &[&str]) -> String {
    let (mut metadata, _) = metadata();
    let run = json!({"image": image, "mirrors": mirrors});
    metadata["images"] = json!([run]);
    metadata["stack"]["runImage"] = run;
    let name = format!("{}/{}", registry(), unique("mirrored-builder"));
    let label = format!("{BUILDER}={metadata}");
    Reader("crane").run(&[
        "mutate",
        "--insecure",
        &builder(),
        "-l",
        &label,
        "-t",
        &name,
    ]);
    name
}

/// What the built image says of its run image, and what was said.
fn built(name: &str, builder: &str) -> (Value, String) {
    let app = App::web();
    let output = locald(["build", &app.text(), "-t", name, "--builder", builder]).succeed();
    let folder = tempfile::tempdir().unwrap();
    let layout = format!("oci:{}", folder.path().join("image").display());
    locald(["image", "export", name, &layout]).succeed();
    let config = Reader("skopeo").run(&["inspect", "--config", &layout]);
    let config: Value = serde_json::from_str(&config).unwrap();
    let label = config["config"]["Labels"][LIFECYCLE].as_str();
    let label: Value = serde_json::from_str(label.unwrap_or("null")).unwrap();
    (label["runImage"].clone(), output.stderr)
}

#[test]
fn the_first_run_image_that_can_be_read_is_built_on() {
    let private = PrivateRegistry::start("secret");
    let (_, run) = metadata();
    let hidden = format!("{}/demo/run", private.address());
    // The image goes to the registry whose run image nobody may read: the
    // lifecycle would take that one for the nearest.
    let near = format!("{}/{}", private.address(), unique("near"));
    for name in [near, unique("mirrored")] {
        let (label, said) = built(&name, &with_run_image(&hidden, &[&run]));
        assert!(said.contains(&format!("the run image {run}")), "{said}");
        let reference = label["reference"].as_str().unwrap();
        assert!(reference.starts_with(&format!("{run}@sha256:")), "{label}");
        assert_eq!(label["image"], hidden.as_str());
    }
    // A mirror that nobody serves, and one that lacks the image.
    let empty = Distribution::start();
    let nobody = "localhost:1/demo/run";
    let lacks = format!("{}/demo/run", empty.address());
    for name in [unique("first"), format!("{}/app", empty.address())] {
        let (label, _) = built(&name, &with_run_image(&run, &[nobody, &lacks]));
        let reference = label["reference"].as_str().unwrap();
        assert!(reference.starts_with(&format!("{run}@sha256:")), "{label}");
    }
}
