//! The wire, byte by byte. A change here is a change of the protocol: enums
//! grow at their end, and nothing else changes without a new version.

use super::samples;

use std::fmt::Debug;
use std::fmt::Write as _;

use bincode::{Decode, Encode};
use protocol::frame::{decode, encode};
use protocol::{CONTROL_CAP, Event, FrameError, Input, Request};

/// One line for each message: its name and its bytes.
fn golden<M: Encode + Decode<()> + Debug + PartialEq>(messages: &[M]) -> String {
    let mut text = String::new();
    for message in messages {
        let bytes = encode(message).unwrap();
        assert_eq!(&decode::<M>(&bytes).unwrap(), message);
        refuses_all_else::<M>(&bytes);
        let name = format!("{message:?}");
        let end = name.find([' ', '(', '{']).unwrap_or(name.len());
        write!(text, "{}:", &name[..end]).unwrap();
        bytes
            .iter()
            .for_each(|byte| write!(text, " {byte:02x}").unwrap());
        text.push('\n');
    }
    text
}

/// Neither a part of a message nor more than one is a message.
fn refuses_all_else<M: Decode<()> + Debug>(bytes: &[u8]) {
    for length in 0..bytes.len() {
        let part = decode::<M>(&bytes[..length]);
        assert!(part.is_err(), "{length} of {} bytes: {part:?}", bytes.len());
    }
    let more = [bytes, &[0]].concat();
    assert!(matches!(decode::<M>(&more), Err(FrameError::Malformed(_))));
}

#[test]
fn requests() {
    insta::assert_snapshot!(golden(&samples::requests()));
}

#[test]
fn inputs() {
    insta::assert_snapshot!(golden(&samples::inputs()));
}

#[test]
fn events() {
    insta::assert_snapshot!(golden(&samples::events()));
}

#[test]
fn what_is_not_known_is_unsupported() {
    for unknown in [200_u8, 250] {
        assert!(matches!(
            decode::<Request>(&[unknown]),
            Err(FrameError::Unsupported)
        ));
        assert!(matches!(
            decode::<Input>(&[unknown]),
            Err(FrameError::Unsupported)
        ));
        assert!(matches!(
            decode::<Event>(&[unknown]),
            Err(FrameError::Unsupported)
        ));
    }
}

#[test]
fn a_message_over_the_cap_is_not_sent() {
    let image = "x".repeat(CONTROL_CAP);
    let error = encode(&Request::ImageInspect { image }).unwrap_err();
    assert!(matches!(error, FrameError::TooLong { .. }), "{error}");
}

/// A vector of 2^60 entries in nine bytes.
#[test]
fn a_claimed_length_allocates_nothing() {
    let claim = [253, 0, 0, 0, 0, 0, 0, 0, 16];
    let images = [&[7_u8][..], &claim].concat();
    assert!(matches!(
        decode::<Request>(&images),
        Err(FrameError::Malformed(_))
    ));
    let entries = [&[1_u8, 0][..], &claim].concat();
    assert!(matches!(
        decode::<Input>(&entries),
        Err(FrameError::Malformed(_))
    ));
}
