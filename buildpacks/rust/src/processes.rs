//! Defines the processes of the image: each program by its name, and `web`, the
//! default.

use std::path::Path;

use libcnb::data::launch::{Launch, LaunchBuilder, ProcessBuilder, ProcessType};

use crate::output;
use crate::programs::Programs;

/// The launch metadata. The programs are in `bin` of the layer.
pub(crate) fn launch(layer: &Path, programs: &Programs) -> Launch {
    let mut launch = LaunchBuilder::new();
    let mut add = |kind: &str, program: &str, default| match kind.parse::<ProcessType>() {
        Ok(kind) => {
            let path = layer.join("bin").join(program).display().to_string();
            launch.process(ProcessBuilder::new(kind, [path]).default(default).build());
        }
        Err(_) => output::warning(&format!("{kind} cannot be the name of a process")),
    };
    for (program, _) in &programs.paths {
        if program != "web" {
            add(program, program, false);
        }
    }
    if let Some(program) = &programs.web {
        add("web", program, true);
    } else {
        let names: Vec<&str> = programs.paths.iter().map(|(name, _)| &**name).collect();
        output::warning(&format!(
            "the image starts nothing by default: it has {}; BP_RUST_WEB, or web in \
             [package.metadata.locald], names one of them",
            names.join(", ")
        ));
    }
    launch.build()
}
