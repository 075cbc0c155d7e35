//! Names of images.

use agent::images::reference::ImageRef;

/// A name that is accepted is the same image in all its spellings, and cannot
/// lead a request to another path.
pub(crate) fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(name) = text.parse::<ImageRef>() else {
        return;
    };
    for spelling in [name.to_string(), name.familiar()] {
        let again = spelling.parse::<ImageRef>();
        assert_eq!(again.ok().as_ref(), Some(&name), "{spelling:?}");
    }
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\@".contains(&byte);
    assert!(name.repository().bytes().all(plain), "{name}");
    assert!(
        name.repository()
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."))
    );
    assert!(!name.registry().is_empty() && !name.registry().contains(['/', '@']));
    assert!(!name.version().is_empty() && !name.version().contains('/'));
}
