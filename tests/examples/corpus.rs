//! Writes the layers of a large image, always the same ones: 27 layers with
//! 45,000 files and 1.3 GB, of which a few have most, as in images that people
//! use. `scripts/bench corpus` measures with it.
//!
//! usage: corpus DIRECTORY

use std::io::{self, BufWriter};
use std::path::Path;

use fs_err::File;
use tar::{Builder, EntryType, Header};

const LAYERS: usize = 27;
const FILES: usize = 45_000;
const BYTES: f64 = 1.3e9;
/// What all of it is made from.
const SEED: u64 = 0x006c_6f63_616c_6427;
/// Bytes of text of which each file has some.
const TEXT: usize = 8 << 20;

/// Numbers that look like chance: xorshift64*.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or(0) % end
    }

    /// Between 1 and 1,000, and mostly little: Pareto's distribution.
    #[expect(clippy::cast_precision_loss, reason = "it is chance")]
    fn pareto(&mut self) -> f64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (1.0 - uniform).powf(-1.0 / 1.16).min(1000.0)
    }
}

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let mut chance = Chance(SEED);
    let text = text(&mut chance);
    let weights: Vec<f64> = (0..LAYERS).map(|_| chance.pareto().min(12.0)).collect();
    let layers = shares(&weights);
    let sizes: Vec<f64> = (0..FILES).map(|_| chance.pareto()).collect();
    let scale = BYTES / sizes.iter().sum::<f64>();
    let mut files = sizes.iter().map(|size| size * scale);
    for (number, share) in layers.iter().enumerate() {
        let path = Path::new(&directory).join(format!("layer-{number:02}.tar"));
        let mut archive = Builder::new(BufWriter::new(File::create(path)?));
        let mut folder = String::new();
        for (index, size) in files.by_ref().take(*share).enumerate() {
            if index % 40 == 0 {
                folder = format!("opt/layer-{number:02}/folder-{}", index / 40);
                append(&mut archive, &folder, EntryType::Directory, &[])?;
            }
            let content = content(&text, size, &mut chance);
            let path = format!("{folder}/file-{index}");
            append(&mut archive, &path, EntryType::Regular, content)?;
        }
        archive.into_inner()?;
    }
    Ok(())
}

/// How many files each layer has, by its weight; at least one.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares are small and positive"
)]
fn shares(weights: &[f64]) -> Vec<usize> {
    let all: f64 = weights.iter().sum();
    let share = |weight: &f64| ((weight / all * FILES as f64) as usize).max(1);
    let mut shares: Vec<usize> = weights.iter().map(share).collect();
    let given: usize = shares.iter().sum();
    shares[0] += FILES.saturating_sub(given);
    shares
}

/// Words, so that it is compressed as programs and texts are.
fn text(chance: &mut Chance) -> Vec<u8> {
    let words: Vec<Vec<u8>> = (0..1_000).map(|_| word(chance)).collect();
    let mut text = Vec::with_capacity(TEXT + 16);
    while text.len() < TEXT {
        text.extend(&words[chance.below(words.len())]);
    }
    text
}

fn word(chance: &mut Chance) -> Vec<u8> {
    let length = 3 + chance.below(9);
    let letters = (0..length).map(|_| b"abcdefghijklmnopqrstuvwxyz_0123 "[chance.below(32)]);
    letters.chain([b' ']).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are small and positive"
)]
fn content<'a>(text: &'a [u8], size: f64, chance: &mut Chance) -> &'a [u8] {
    let size = (size as usize).min(text.len() - 1);
    let start = chance.below(text.len() - size);
    &text[start..start + size]
}

fn append(
    archive: &mut Builder<BufWriter<File>>,
    path: &str,
    kind: EntryType,
    content: &[u8],
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory {
        0o755
    } else {
        0o644
    });
    header.set_size(content.len() as u64);
    header.set_mtime(1_700_000_000);
    archive.append_data(&mut header, path, content)
}
