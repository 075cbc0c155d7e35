#!/usr/bin/env bash
# One stream over the limit of its peer ends a whole yamux connection.
#
# The crate yamux 0.14.1 (rust-yamux): when a side opens more streams than the other side's max_num_streams, the other side
# ends the connection, with all streams that were open. One would expect that the new stream alone is reset, or waits, as
# a TCP listener's backlog does. Whoever opens streams must know and keep the peer's limit.
set -euo pipefail
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tools.sh"

mkdir -p streams/src
cat >streams/Cargo.toml <<'TOML'
[package]
name = "streams"
version = "0.0.0"
edition = "2024"

[dependencies]
yamux = "=0.14.1"
futures = "0.3"
tokio = { version = "1", features = ["io-util", "macros", "rt", "time"] }
tokio-util = { version = "0.7", features = ["compat"] }
TOML
cat >streams/src/main.rs <<'RUST'
use futures::{AsyncReadExt, AsyncWriteExt, future::poll_fn};
use tokio_util::compat::TokioAsyncReadCompatExt;
use yamux::{Config, Connection, Mode};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let opened: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let (near, far) = tokio::io::duplex(1 << 20);
    let mut limited = Config::default();
    limited.set_max_num_streams(4);
    // Echoes one byte of each stream, as long as the connection lives.
    tokio::spawn(async move {
        let mut server = Connection::new(far.compat(), limited, Mode::Server);
        while let Some(Ok(mut stream)) = poll_fn(|cx| server.poll_next_inbound(cx)).await {
            tokio::spawn(async move {
                let mut byte = [0];
                while stream.read_exact(&mut byte).await.is_ok() && stream.write_all(&byte).await.is_ok() {}
            });
        }
    });
    let mut client = Connection::new(near.compat(), Config::default(), Mode::Client);
    let mut streams = Vec::new();
    for _ in 0..opened {
        streams.push(poll_fn(|cx| client.poll_new_outbound(cx)).await.unwrap());
    }
    tokio::spawn(async move { while let Some(Ok(_)) = poll_fn(|cx| client.poll_next_inbound(cx)).await {} });
    let mut alive = 0;
    let mut wait = tokio::time::interval(std::time::Duration::from_millis(200));
    wait.tick().await;
    for stream in &mut streams {
        let _ = stream.write_all(b"x").await;
        let _ = stream.flush().await;
    }
    wait.tick().await;
    for stream in &mut streams {
        let mut byte = [0];
        let echoed = async {
            stream.read_exact(&mut byte).await?;
            stream.write_all(b"y").await?;
            stream.flush().await?;
            stream.read_exact(&mut byte).await
        };
        if let Ok(Ok(())) = tokio::time::timeout(std::time::Duration::from_secs(2), echoed).await {
            alive += 1;
        }
    }
    println!("limit 4, opened {opened}: {alive} streams answer twice");
}
RUST
(cd streams && cargo build --quiet)
within=$(streams/target/debug/streams 4)
beyond=$(streams/target/debug/streams 5)
printf '%s\n%s\n' "$within" "$beyond"
expect "$within" "opened 4: 4 streams"
expect "$beyond" "opened 5: 0 streams"
