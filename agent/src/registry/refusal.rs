//! Reads a response without a status of success: whether another attempt may
//! help, when, and the registry's message.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};

/// The most characters of a server's error message.
const LONGEST_MESSAGE: usize = 200;

/// Whether another attempt may succeed.
pub(super) fn is_transient(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// The pause that a server demands before the next attempt.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?;
    let seconds = header.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The error message of a server. A registry sends an error document, a token
/// server any format.
pub(super) fn message(body: &[u8]) -> String {
    let document = serde_json::from_slice::<serde_json::Value>(body);
    let text = match &document {
        Ok(document) => {
            let error = &document["errors"][0];
            let places = [
                &error["message"],
                &error["code"],
                &document["error_description"],
                &document["details"],
                &document["message"],
                &document["error"],
                &document["errors"],
                document,
            ];
            let mut texts = places.into_iter().filter_map(serde_json::Value::as_str);
            texts
                .find(|text| !text.trim().is_empty())
                .unwrap_or_default()
        }
        // Ignores the HTML page of a proxy.
        Err(_) => std::str::from_utf8(body)
            .ok()
            .filter(|text| !text.trim_start().starts_with('<'))
            .unwrap_or_default(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_speak_for_themselves() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"no quota"}]}"#,
                "no quota",
            ),
            (r#"{"errors":[{"code":"DENIED","message":""}]}"#, "DENIED"),
            (
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"it has expired"}"#,
                "it has expired",
            ),
            (r#"{"error":"invalid_grant"}"#, "invalid_grant"),
            (r#"{"message":"locked out"}"#, "locked out"),
            ("the account is\nlocked\n", "the account is locked"),
            ("<html>", ""),
            ("{}", ""),
            ("", ""),
        ] {
            assert_eq!(message(body.as_bytes()), expected, "{body}");
        }
        assert_eq!(message(&[b'x'; 10_000]).len(), LONGEST_MESSAGE);
    }
}
