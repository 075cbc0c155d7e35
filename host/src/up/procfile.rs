//! `Procfile`: one `type: command` a line.

use std::path::Path;

/// A process type's command in the Procfile of a folder.
pub(super) fn read(folder: &Path, process: &str) -> Option<String> {
    let text = fs_err::read_to_string(folder.join("Procfile")).ok()?;
    find(&text, process)
}

fn find(text: &str, process: &str) -> Option<String> {
    let command = |line: &str| {
        let (name, command) = line.split_once(':')?;
        let command = command.trim();
        (name.trim() == process && !command.is_empty()).then(|| command.to_owned())
    };
    text.lines().find_map(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_procfile_has_one_process_a_line() {
        let text = "# all\nweb: ./serve --url=http://x\r\nworker:  ./work\nempty:\n";
        assert_eq!(find(text, "web").as_deref(), Some("./serve --url=http://x"));
        assert_eq!(find(text, "worker").as_deref(), Some("./work"));
        assert_eq!(find(text, "empty"), None);
        assert_eq!(find(text, "clock"), None);
    }
}
