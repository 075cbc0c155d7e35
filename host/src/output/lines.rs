//! Cuts the output of a phase or a service into lines.

use protocol::Channel;

/// The maximum length of a line in bytes. A longer line becomes several lines.
const LONGEST: usize = 64 * 1024;

/// The unfinished lines of standard output and standard error.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Lines {
    /// Adds bytes. Returns the complete lines.
    pub(crate) fn push(&mut self, channel: Channel, bytes: &[u8]) -> Vec<String> {
        let pending = match channel {
            Channel::Stderr => &mut self.stderr,
            _ => &mut self.stdout,
        };
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in part.chunks(LONGEST) {
                pending.extend_from_slice(piece);
                if pending.ends_with(b"\n") || pending.len() >= LONGEST {
                    lines.push(line(pending));
                    pending.clear();
                }
            }
        }
        lines
    }

    /// Returns the unfinished lines. Call it when no more output follows.
    pub(crate) fn flush(&mut self) -> Vec<(Channel, String)> {
        let pending = [
            (Channel::Stdout, std::mem::take(&mut self.stdout)),
            (Channel::Stderr, std::mem::take(&mut self.stderr)),
        ];
        let rest = pending.into_iter().filter(|(_, bytes)| !bytes.is_empty());
        rest.map(|(channel, bytes)| (channel, line(&bytes)))
            .collect()
    }
}

/// Returns the text that a terminal shows in the end: text after the last
/// carriage return replaces the text before it.
fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_do_not_mix_within_a_line() {
        let mut lines = Lines::default();
        assert!(lines.push(Channel::Stdout, b"one").is_empty());
        assert_eq!(lines.push(Channel::Stderr, b"error\nmo"), ["error"]);
        assert_eq!(
            lines.push(Channel::Stdout, b" two\nthree\n"),
            ["one two", "three"]
        );
        let rest = lines.flush();
        assert_eq!(rest, [(Channel::Stderr, "mo".to_owned())]);
        assert!(lines.flush().is_empty());
    }

    #[test]
    fn progress_leaves_its_last_state() {
        let mut lines = Lines::default();
        let bytes = b"10%\r50%\r100%\nwindows\r\n";
        assert_eq!(lines.push(Channel::Stdout, bytes), ["100%", "windows"]);
    }

    #[test]
    fn a_line_without_end_takes_no_memory_without_end() {
        let mut lines = Lines::default();
        let cut = lines.push(Channel::Stdout, &vec![b'x'; LONGEST * 3 + 1]);
        assert_eq!(cut.len(), 3);
        assert_eq!(lines.flush()[0].1.len(), 1);
    }
}
