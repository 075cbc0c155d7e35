//! Parses `WWW-Authenticate`: RFC 9110, section 11.6.1. Accepts the deviations
//! of existing registries.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// An authentication scheme that locald supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Bearer(Bearer),
    Basic,
}

/// The token server and the scope of a `Bearer` challenge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bearer {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    /// Scopes, separated by spaces.
    pub(super) scope: String,
}

/// One challenge, of any scheme.
#[derive(Debug, PartialEq, Eq)]
struct Offer<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

/// The challenges that locald supports. Tokens come first, because a token
/// server may grant one without an account.
pub(super) fn known(headers: &HeaderMap) -> Vec<Challenge> {
    let headers = headers.get_all(WWW_AUTHENTICATE).iter();
    let texts: Vec<_> = headers.filter_map(|it| it.to_str().ok()).collect();
    let offers = texts.iter().flat_map(|text| offers(text));
    let mut known: Vec<_> = offers.filter_map(|offer| offer.challenge()).collect();
    known.sort_by_key(|challenge| *challenge == Challenge::Basic);
    known
}

impl Offer<'_> {
    fn challenge(&self) -> Option<Challenge> {
        if self.scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        let value = |wanted: &str| {
            let mut parameters = self.parameters.iter();
            let found = parameters.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            Some(found.1.clone()).filter(|value| !value.is_empty())
        };
        self.scheme.eq_ignore_ascii_case("bearer").then_some(())?;
        Some(Challenge::Bearer(Bearer {
            realm: value("realm")?,
            service: value("service"),
            scope: value("scope").unwrap_or_default(),
        }))
    }
}

/// Splits a header into challenges. A word before `=` is a parameter of the
/// current challenge; any other word begins a new one.
fn offers(text: &str) -> Vec<Offer<'_>> {
    let between = |it: char| it == ',' || it.is_whitespace();
    let mut offers: Vec<Offer<'_>> = Vec::new();
    let mut rest = text.trim_start_matches(between);
    while !rest.is_empty() {
        let end = rest.find(|it: char| it == '=' || between(it));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        let assigned = after.trim_start().strip_prefix('=');
        let after = if let Some(assigned) = assigned {
            let (value, after) = value(assigned.trim_start());
            if let Some(offer) = offers.last_mut() {
                offer.parameters.push((word, value));
            }
            after
        } else {
            offers.push(Offer {
                scheme: word,
                parameters: Vec::new(),
            });
            after
        };
        rest = after.trim_start_matches(between);
    }
    offers
}

/// Parses a quoted or a bare value. Returns it with the rest of the text.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|it: char| it == ',' || it.is_whitespace());
        let (value, rest) = text.split_at(end.unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            character => value.push(character),
        }
    }
    (value, "")
}

/// The realms that a `WWW-Authenticate` header names.
#[cfg(feature = "fuzzing")]
pub(crate) fn realm(header: &str) -> Option<String> {
    let offers = offers(header);
    offers.iter().find_map(|offer| match offer.challenge()? {
        Challenge::Bearer(bearer) => Some(bearer.realm),
        Challenge::Basic => None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn read(headers: &[&str]) -> Vec<Challenge> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(WWW_AUTHENTICATE, header.parse().unwrap());
        }
        known(&map)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: &str) -> Challenge {
        Challenge::Bearer(Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.to_owned(),
        })
    }

    #[test]
    fn one_challenge_is_read_in_all_its_spellings() {
        let expected = [bearer(
            "https://a.example/token?x=1",
            Some("r.example"),
            "repository:app:pull,push",
        )];
        for text in [
            r#"Bearer realm="https://a.example/token?x=1",service="r.example",scope="repository:app:pull,push""#,
            r#"bearer Realm = "https://a.example/token?x=1" , SERVICE="r.example" scope="repository:app:pull,push""#,
            r#"BEARER realm=https://a.example/token?x=1, service=r.example,scope="repository:app:pull,push""#,
            r#",, Bearer  scope="repository:app:pull,push",	realm="https:\/\/a.example/token?x=1",service="r.example""#,
        ] {
            assert_eq!(read(&[text]), expected, "{text}");
        }
    }

    #[test]
    fn of_several_challenges_those_that_can_be_met_are_taken() {
        let token = bearer("https://a.example", None, "");
        for headers in [
            &[r#"Negotiate, Basic realm="x", Bearer realm="https://a.example""#][..],
            &[r#"Bearer realm="https://a.example", Basic realm="x, Bearer realm=y""#],
            &[
                "Negotiate",
                "Basic",
                r#"NTLM TlRMTVNTUAAC==, Bearer realm="https://a.example""#,
            ],
            &[
                r#"BASIC realm="Sonatype Nexus",charset=UTF-8"#,
                r#"Digest nonce="a=b", Bearer realm=https://a.example"#,
            ],
        ] {
            assert_eq!(
                read(headers),
                [token.clone(), Challenge::Basic],
                "{headers:?}"
            );
        }
        for text in [
            "Negotiate",
            "Bearer realm=",
            "Bearer",
            "realm=x",
            "",
            "=\"",
            "Bearer realm=\"\"",
        ] {
            assert_eq!(read(&[text]), [], "{text}");
        }
        // An unclosed quote ends with the header.
        assert_eq!(read(&["Bearer realm=\"https://a.example"]), [token]);
    }
}
