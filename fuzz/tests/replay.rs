//! All that fuzzers have found worth keeping, through the targets again.

use std::path::Path;

#[test]
fn the_corpus_finds_nothing() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in locald_fuzz::TARGETS {
        let inputs = fs_err::read_dir(corpora.join(name)).expect("each target has a corpus");
        let mut count = 0;
        for input in inputs {
            let path = input.expect("the corpus can be listed").path();
            // Named before it is tried: a panic says which it was.
            println!("{}", path.display());
            target(&fs_err::read(&path).expect("an input can be read"));
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
}
