//! Computes a digest together with another one, at little cost.
//!
//! Each round of SHA-256 waits for the one before, so a processor with
//! instructions for it is idle for half of the time. When blocks of two streams
//! alternate, the processor works at both. The digest of an archive takes a
//! fifth of its time when it is computed together with the digest of the
//! archive's content.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::Digest;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// The most bytes that wait. Large parts of an archive may contain no file
/// content.
const WAITING: usize = 512 * 1024;

/// A hasher whose bytes wait for the bytes of another hasher: see
/// [`Hasher::beside`](super::Hasher::beside).
#[derive(Debug, Clone, Default)]
pub struct InterleavedHasher(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stream: Stream,
    waiting: Vec<Bytes>,
    /// The number of waiting bytes.
    length: usize,
}

/// The state of one digest.
#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    sha: Sha256,
    /// Bytes in the current, incomplete block.
    begun: usize,
}

impl InterleavedHasher {
    /// Adds bytes.
    pub fn update(&self, bytes: Bytes) {
        let mut state = self.state();
        state.length += bytes.len();
        state.waiting.push(bytes);
        if state.length > WAITING {
            state.flush();
        }
    }

    /// The digest of all bytes so far.
    pub fn digest(&self) -> Digest {
        let mut state = self.state();
        state.flush();
        state.stream.clone().finish()
    }

    /// Adds bytes to another hasher, and at the same time the waiting bytes to
    /// this one.
    pub(super) fn update_with(&self, other: &mut Stream, bytes: &[u8]) {
        self.state().update_with(other, bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds the waiting bytes on their own.
    fn flush(&mut self) {
        self.length = 0;
        for piece in self.waiting.drain(..) {
            self.stream.update(&piece);
        }
    }

    fn update_with(&mut self, other: &mut Stream, mut bytes: &[u8]) {
        for piece in self.waiting.drain(..) {
            // A share of the bytes in proportion to the size of the piece.
            let share = bytes.len() * piece.len() / self.length.max(1);
            let (beside, rest) = bytes.split_at(share);
            update_both((&mut self.stream, &piece), (other, beside));
            self.length -= piece.len();
            bytes = rest;
        }
        other.update(bytes);
    }
}

impl Stream {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.begun = (self.begun + bytes.len()) % BLOCK;
    }

    /// Completes the current block. Returns the remaining bytes.
    fn complete_block<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let missing = (BLOCK - self.begun) % BLOCK;
        let (missing, rest) = bytes.split_at(missing.min(bytes.len()));
        self.update(missing);
        rest
    }

    pub(super) fn finish(self) -> Digest {
        Digest(self.sha.finalize().into())
    }
}

/// Adds bytes to two streams, in alternate blocks.
fn update_both((one, first): (&mut Stream, &[u8]), (two, second): (&mut Stream, &[u8])) {
    // Only whole blocks can be hashed without a copy.
    let (first, second) = (one.complete_block(first), two.complete_block(second));
    let turns = (first.len().min(second.len()) / BLOCK).max(1);
    let turn = |bytes: &[u8]| (bytes.len() / BLOCK / turns * BLOCK).max(BLOCK);
    let (mut first, mut second) = (first.chunks(turn(first)), second.chunks(turn(second)));
    loop {
        match (first.next(), second.next()) {
            (None, None) => return,
            (first, second) => {
                one.update(first.unwrap_or_default());
                two.update(second.unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::digest::Hasher;

    #[test]
    fn both_digests_are_right_however_the_streams_are_cut() {
        let bytes: Vec<u8> = (0_u32..3_000_000).map(|it| (it % 251) as u8).collect();
        // More bytes of either stream, and pieces that are empty, whole blocks
        // or neither.
        let cuts = [
            (0, 1),
            (1, 0),
            (64, 64),
            (63, 65),
            (5, 100_000),
            (100_000, 5),
            (70_000, 262_144),
            (600_000, 0),
            (0, 262_143),
        ];
        for skip in 0..cuts.len() {
            let interleaved = InterleavedHasher::default();
            let mut hasher = Hasher::beside(interleaved.clone());
            let (mut first, mut second) = (0, 0);
            for (more_first, more_second) in cuts.iter().cycle().skip(skip).take(20) {
                let piece = first..first + more_first;
                // Adds the bytes in two pieces.
                let middle = piece.start + more_first / 3;
                for piece in [piece.start..middle, middle..piece.end] {
                    interleaved.update(Bytes::copy_from_slice(&bytes[piece]));
                }
                hasher.update(&bytes[second..second + more_second]);
                (first, second) = (first + more_first, second + more_second);
            }
            assert_eq!(interleaved.digest(), Digest::of(&bytes[..first]), "{skip}");
            assert_eq!(hasher.finish(), Digest::of(&bytes[..second]), "{skip}");
        }
    }

    #[test]
    fn little_waits() {
        let interleaved = InterleavedHasher::default();
        let megabyte = Bytes::from(vec![0; 1_000_000]);
        for _ in 0..10 {
            interleaved.update(megabyte.clone());
            assert!(interleaved.state().length <= WAITING);
        }
    }
}
