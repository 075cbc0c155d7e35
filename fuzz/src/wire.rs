//! What host and agent send each other.

use std::sync::LazyLock;

use protocol::frame::{self, Frame};
use protocol::hello::{self, Token};
use protocol::{Event, Input, Outcome, Request};
use tokio::runtime::Runtime;

/// One, since starting it takes longer than reading a frame.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts")
});

/// A request's stream: frames until one is refused or the bytes end.
pub(crate) fn frame(bytes: &[u8]) {
    RUNTIME.block_on(async {
        let mut stream = bytes;
        while let Ok(Some(frame)) = frame::read::<Input>(&mut stream).await {
            if let Frame::Data(_, bytes) = frame {
                assert!(bytes.len() <= protocol::DATA_CAP);
            }
        }
        let mut stream = bytes;
        while let Ok(Some(_)) = frame::read::<Event>(&mut stream).await {}
    });
}

/// The bytes as each message of both directions. What decodes comes back whole
/// from its own encoding.
pub(crate) fn message(bytes: &[u8]) {
    round_trip::<Request>(bytes);
    round_trip::<Input>(bytes);
    round_trip::<Event>(bytes);
    round_trip::<Outcome>(bytes);
}

fn round_trip<M>(bytes: &[u8])
where
    M: bincode::Encode + bincode::Decode<()> + PartialEq + std::fmt::Debug,
{
    let Ok(message) = frame::decode::<M>(bytes) else {
        return;
    };
    let encoded = frame::encode(&message).expect("what was decoded can be encoded");
    assert!(
        encoded.len() <= bytes.len(),
        "the shortest encoding is ours"
    );
    let again = frame::decode::<M>(&encoded).expect("what was encoded can be decoded");
    assert_eq!(message, again);
}

/// The first bytes of a connection, on both sides.
pub(crate) fn hello(bytes: &[u8]) {
    RUNTIME.block_on(async {
        let token = Token([7; 32]);
        let mut stream = tokio::io::join(bytes, tokio::io::sink());
        if let Ok(peer) = hello::answer(&mut stream, "fuzz", Some(&token)).await {
            assert_eq!(bytes[64..96], [7; 32], "nobody comes in without the token");
            assert_eq!(peer.version, hello::VERSION);
        }
        let mut stream = tokio::io::join(bytes, tokio::io::sink());
        let greeted = hello::greet(&mut stream, "fuzz", &token).await;
        if let Ok(peer) = greeted {
            assert!(peer.build_id.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    });
}
