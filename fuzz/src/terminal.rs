//! What others wrote and locald prints.

/// Nothing that is printed steers a terminal; with colours, only colours do.
pub(crate) fn terminal(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let [plain, coloured] = locald::fuzzing::printed(&text);
    assert!(plain.chars().all(is_harmless), "{plain:?}");
    let [again, _] = locald::fuzzing::printed(&plain);
    assert_eq!(again, plain);
    let mut pieces = coloured.split('\u{1b}');
    assert!(pieces.next().unwrap_or_default().chars().all(is_harmless));
    for piece in pieces {
        let sequence = piece
            .strip_prefix('[')
            .and_then(|rest| rest.split_once('m'));
        let (parameters, rest) = sequence.unwrap_or_else(|| panic!("no colour: {coloured:?}"));
        let is_number = |byte: u8| byte.is_ascii_digit() || byte == b';' || byte == b':';
        assert!(parameters.bytes().all(is_number), "{coloured:?}");
        assert!(rest.chars().all(is_harmless), "{coloured:?}");
    }
}

fn is_harmless(character: char) -> bool {
    character == '\t' || !character.is_control()
}
