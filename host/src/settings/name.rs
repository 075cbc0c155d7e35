//! Derives an image's name from a folder's name.

/// The maximum length of a derived name.
const LONGEST: usize = 100;

/// A repository name of one component: `[a-z0-9]+` with `.`, `_`, `__` or
/// dashes between (the distribution specification's `name`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName(String);

impl ImageName {
    /// Returns the valid name that is most like the text.
    pub(crate) fn from_text(text: &str) -> Self {
        let mut name = String::new();
        let mut between = String::new();
        for character in text.chars().flat_map(char::to_lowercase) {
            if !character.is_ascii_alphanumeric() {
                between.push(character);
                continue;
            }
            if !name.is_empty() {
                name.push_str(separator(&between));
            }
            between.clear();
            name.push(character);
        }
        name.truncate(LONGEST);
        let name = name.trim_end_matches(|last: char| !last.is_ascii_alphanumeric());
        Self(if name.is_empty() { "app" } else { name }.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.0
    }
}

fn separator(between: &str) -> &str {
    match between {
        "" | "." | "_" | "__" => between,
        dashes if dashes.bytes().all(|byte| byte == b'-') => dashes,
        _ => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::ImageName;

    #[test]
    fn names_are_made_valid() {
        let cases = [
            ("shop", "shop"),
            ("my.shop_1__a--b", "my.shop_1__a--b"),
            ("My Shop", "my-shop"),
            ("Käse & Brot", "k-se-brot"),
            ("_private_", "private"),
            ("a..b", "a-b"),
            ("日本語", "app"),
            ("", "app"),
            (".", "app"),
        ];
        for (text, expected) in cases {
            assert_eq!(ImageName::from_text(text).as_str(), expected, "{text:?}");
        }
        let long = ImageName::from_text(&"a-".repeat(200));
        assert_eq!(long.as_str().len(), 99);
    }
}
