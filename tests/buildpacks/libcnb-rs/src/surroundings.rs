//! Reports its environment before each launch, as an exec.d program.

use std::collections::HashMap;

use libcnb::data::exec_d::ExecDProgramOutputKey;
use libcnb::data::exec_d_program_output_key;
use libcnb::exec_d::write_exec_d_program_output;

fn main() {
    let place = std::env::current_dir().unwrap_or_default();
    let names = ["HOME", "HOSTNAME", "PATH", "NODE_HOME", "MODULES"];
    let values = names.map(|name| {
        let value = std::env::var(name).unwrap_or_default();
        format!("{name}={value}")
    });
    let said = format!("{} {}", place.display(), values.join(" "));
    let key: ExecDProgramOutputKey = exec_d_program_output_key!("SURROUNDINGS");
    write_exec_d_program_output(HashMap::from([(key, said)]));
}
