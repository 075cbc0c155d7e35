//! Parses `StopSignal` of an image: OCI image configuration. Like Docker, it
//! accepts a number, and a name with or without `SIG` in upper or lower case.

use rustix::process::Signal;
use serde_json::Value;

const NAMED: [(&str, Signal); 17] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("CONT", Signal::CONT),
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("IO", Signal::IO),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("POLL", Signal::IO),
    ("PWR", Signal::POWER),
    ("QUIT", Signal::QUIT),
    ("TERM", Signal::TERM),
    ("TSTP", Signal::TSTP),
    ("URG", Signal::URG),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("WINCH", Signal::WINCH),
];

/// Parses the signal. Absent if it is unknown, or a real-time signal. Only an
/// init such as systemd uses those.
pub(super) fn parse(written: &Value) -> Option<Signal> {
    let text = match written {
        Value::String(text) => text.trim().to_ascii_uppercase(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if let Ok(number) = text.parse() {
        return Signal::from_named_raw(number);
    }
    let name = text.strip_prefix("SIG").unwrap_or(&text);
    let mut named = NAMED.into_iter();
    named.find_map(|(known, signal)| (known == name).then_some(signal))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_numbers_are_signals() {
        for (written, signal) in [
            (json!("SIGQUIT"), Some(Signal::QUIT)),
            (json!("quit"), Some(Signal::QUIT)),
            (json!("SigWinch"), Some(Signal::WINCH)),
            (json!("2"), Some(Signal::INT)),
            (json!(15), Some(Signal::TERM)),
            (json!("SIGRTMIN+3"), None),
            (json!(""), None),
            (json!("0"), None),
            (json!("64000000000"), None),
            (json!(["TERM"]), None),
        ] {
            assert_eq!(parse(&written), signal, "{written}");
        }
    }
}
