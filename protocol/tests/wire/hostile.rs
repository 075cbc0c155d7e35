//! Whatever the other side sends, nothing but an error comes of it: no panic,
//! no endless wait, no memory that it only claims to need.

use super::samples;

use std::fmt::Debug;
use std::time::Duration;

use bincode::{Decode, Encode};
use proptest::prelude::*;
use protocol::frame::{self, Frame, decode, encode};
use protocol::hello::{self, HelloError, Token};
use protocol::{CONTROL_CAP, Channel, Connection, DATA_CAP, Event, FrameError, Input, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

/// Runs on a paused clock: deadlines pass as soon as nothing else can.
fn run<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

/// A stream on which these bytes come, and then its end.
async fn stream_of(bytes: &[u8]) -> DuplexStream {
    let (mut theirs, ours) = duplex(bytes.len().max(1));
    theirs.write_all(bytes).await.unwrap();
    ours
}

/// Decodes without harm; what decodes is a message like any other.
fn swallow<M: Encode + Decode<()> + Debug + PartialEq>(bytes: &[u8]) {
    if let Ok(message) = decode::<M>(bytes) {
        let again = encode(&message).unwrap();
        assert_eq!(decode::<M>(&again).unwrap(), message);
    }
}

async fn read_all<M: Decode<()>>(bytes: &[u8]) -> Result<usize, FrameError> {
    let mut stream = stream_of(bytes).await;
    let mut count = 0;
    while frame::read::<M>(&mut stream).await?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// A message with one byte changed, or cut short.
fn mutated(bytes: &[u8], at: usize, to: u8, length: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to;
    }
    bytes.truncate(length);
    bytes
}

proptest! {
    #[test]
    fn random_bytes_are_swallowed(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        swallow::<Request>(&bytes);
        swallow::<Input>(&bytes);
        swallow::<Event>(&bytes);
    }

    #[test]
    fn changed_messages_are_swallowed(
        which in any::<prop::sample::Index>(),
        at in 0_usize..200,
        to in any::<u8>(),
        length in 0_usize..400,
    ) {
        let requests = samples::requests();
        swallow::<Request>(&mutated(&encode(which.get(&requests)).unwrap(), at, to, length));
        let inputs = samples::inputs();
        swallow::<Input>(&mutated(&encode(which.get(&inputs)).unwrap(), at, to, length));
        let events = samples::events();
        swallow::<Event>(&mutated(&encode(which.get(&events)).unwrap(), at, to, length));
    }

    #[test]
    fn random_frames_end_in_an_error_or_the_end(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        kind in 0_u8..8,
        length in any::<u32>(),
    ) {
        let header = [&length.to_le_bytes()[..], &[kind]].concat();
        run(async {
            let _ = read_all::<Request>(&bytes).await;
            let _ = read_all::<Event>(&[&header[..], &bytes].concat()).await;
            let _ = read_all::<Input>(&[&header[..], &bytes].concat()).await;
        });
    }

    #[test]
    fn no_random_bytes_are_a_hello(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assume!(!bytes.starts_with(b"LOCALD\r\n"));
        run(async {
            let (mut theirs, mut ours) = duplex(1024);
            theirs.write_all(&bytes).await.unwrap();
            let answered = hello::answer(&mut ours, "test", None).await;
            prop_assert!(answered.is_err());
            let (mut theirs, mut ours) = duplex(1024);
            theirs.write_all(&bytes).await.unwrap();
            let greeted = hello::greet(&mut ours, "test", &Token::default()).await;
            prop_assert!(greeted.is_err());
            Ok(())
        })?;
    }

    #[test]
    fn random_bytes_are_no_connection(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        run(async {
            let mut server = Connection::server(stream_of(&bytes).await);
            // Streams may come of it, which end when the connection does.
            while let Some(mut stream) = server.accept().await {
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            }
        });
    }
}

#[test]
fn lengths_over_the_caps_are_refused_before_anything_is_read() {
    run(async {
        for (kind, cap) in [(0_u8, CONTROL_CAP), (1, DATA_CAP), (4, DATA_CAP)] {
            for length in [u32::try_from(cap).unwrap() + 1, u32::MAX] {
                let header = [&length.to_le_bytes()[..], &[kind]].concat();
                // Not one byte of what is announced is there.
                let error = read_all::<Event>(&header).await.unwrap_err();
                assert!(matches!(error, FrameError::TooLong { .. }), "{error}");
            }
        }
        let error = read_all::<Event>(&[0, 0, 0, 0, 9]).await.unwrap_err();
        assert!(matches!(error, FrameError::Unsupported), "{error}");
    });
}

#[test]
fn half_a_frame_is_not_waited_for() {
    run(async {
        let (mut theirs, mut ours) = duplex(64);
        theirs.write_all(&[10, 0, 0]).await.unwrap();
        let error = frame::read::<Event>(&mut ours).await.unwrap_err();
        assert!(matches!(error, FrameError::Deadline), "{error}");
    });
}

#[test]
fn an_idle_stream_may_stay_idle() {
    run(async {
        let (mut theirs, mut ours) = duplex(64);
        let late = async {
            tokio::time::sleep(Duration::from_hours(10)).await;
            frame::write_message(&mut theirs, &Input::SourceListed)
                .await
                .unwrap();
        };
        let (read, ()) = tokio::join!(frame::read::<Input>(&mut ours), late);
        assert_eq!(read.unwrap(), Some(Frame::Message(Input::SourceListed)));
    });
}

#[test]
fn much_data_is_cut_into_frames() {
    run(async {
        let bytes: Vec<u8> = (0..DATA_CAP * 2 + 17)
            .map(|it| it.to_le_bytes()[0])
            .collect();
        let (mut theirs, mut ours) = duplex(64 * 1024);
        let write = async {
            frame::write_data(&mut theirs, Channel::Bulk, &bytes)
                .await
                .unwrap();
            drop(theirs);
        };
        let read = async {
            let mut all = Vec::new();
            while let Some(frame) = frame::read::<Event>(&mut ours).await.unwrap() {
                match frame {
                    Frame::Data(Channel::Bulk, chunk) => all.extend_from_slice(&chunk),
                    other => panic!("{other:?}"),
                }
            }
            all
        };
        let (read, ()) = tokio::join!(read, write);
        assert!(read == bytes);
    });
}

#[test]
fn both_sides_learn_what_the_other_is() {
    run(async {
        let (mut host, mut agent) = duplex(1024);
        let token = Token([7; 32]);
        let (greeted, answered) = tokio::join!(
            hello::greet(&mut host, "host/1", &token),
            hello::answer(&mut agent, "agent/2", Some(&token)),
        );
        assert_eq!(greeted.unwrap().build_id, "agent/2");
        assert_eq!(answered.unwrap().build_id, "host/1");
    });
}

#[test]
fn a_wrong_token_is_refused_and_the_host_is_told() {
    run(async {
        let (mut host, mut agent) = duplex(1024);
        let (greeted, answered) = tokio::join!(
            hello::greet(&mut host, "host/1", &Token([7; 32])),
            hello::answer(&mut agent, "agent/2", Some(&Token([8; 32]))),
        );
        assert!(matches!(greeted, Err(HelloError::Token)));
        assert!(matches!(answered, Err(HelloError::Token)));
    });
}

#[test]
fn another_version_names_both_sides() {
    run(async {
        let (mut host, mut agent) = duplex(1024);
        let mut words = [0; 96];
        words[..8].copy_from_slice(b"LOCALD\r\n");
        words[8..12].copy_from_slice(&[2, 0, 9, 0]);
        words[24..30].copy_from_slice(b"host/9");
        host.write_all(&words).await.unwrap();
        let error = hello::answer(&mut agent, "agent/1", None)
            .await
            .unwrap_err();
        let expected = "the peer (host/9) speaks version 2 to 9 of the protocol, not 1";
        assert_eq!(error.to_string(), expected);
        let mut answer = [0; 64];
        host.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer[..12], b"LOCALD\r\n\x01\x00\x01\x00");
    });
}

#[test]
fn a_silent_peer_is_not_waited_for() {
    run(async {
        let (_theirs, mut ours) = duplex(64);
        let error = hello::answer(&mut ours, "agent", None).await.unwrap_err();
        assert!(matches!(error, HelloError::Deadline), "{error}");
    });
}

#[test]
fn many_requests_share_a_connection() {
    run(async {
        let (one, other) = duplex(4096);
        let (client, mut server) = (Connection::client(one), Connection::server(other));
        tokio::spawn(async move {
            while let Some(mut stream) = server.accept().await {
                tokio::spawn(async move {
                    while let Ok(Some(Frame::Data(channel, bytes))) =
                        frame::read::<Event>(&mut stream).await
                    {
                        frame::write_data(&mut stream, channel, &bytes)
                            .await
                            .unwrap();
                    }
                });
            }
        });
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(client.open().await.unwrap());
        }
        let bytes = vec![1; 100_000];
        for stream in &mut streams {
            frame::write_data(stream, Channel::Stdin, &bytes)
                .await
                .unwrap();
        }
        for stream in &mut streams {
            let echo = frame::read::<Event>(stream).await.unwrap();
            assert_eq!(
                echo,
                Some(Frame::Data(Channel::Stdin, bytes.clone().into()))
            );
        }
    });
}
