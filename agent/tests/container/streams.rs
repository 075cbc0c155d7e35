//! Standard streams, terminals, signals and exit codes.

use agent::container::{Access, Signal};
use protocol::request::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::stage::{Stage, bind, finish};

pub(crate) const TESTS: &[crate::Test] = &[
    ("streams::exit_codes", |stage| Box::pin(exit_codes(stage))),
    ("streams::apart", |stage| Box::pin(apart(stage))),
    ("streams::input_ends", |stage| Box::pin(input_ends(stage))),
    ("streams::much", |stage| Box::pin(much(stage))),
    ("streams::back_pressure", |stage| {
        Box::pin(back_pressure(stage))
    }),
    ("streams::signals", |stage| Box::pin(signals(stage))),
    ("streams::whoever_is_asked_to_end_may_end", |stage| {
        Box::pin(whoever_is_asked_to_end_may_end(stage))
    }),
    ("streams::own_signal", |stage| Box::pin(own_signal(stage))),
    ("streams::orphans_are_reaped", |stage| {
        Box::pin(orphans_are_reaped(stage))
    }),
    ("streams::terminal", |stage| Box::pin(terminal(stage))),
    ("streams::resize", |stage| Box::pin(resize(stage))),
    ("streams::interrupt_key", |stage| {
        Box::pin(interrupt_key(stage))
    }),
];

async fn exit_codes(stage: &Stage) {
    for code in [0, 1, 42, 126, 255] {
        let ended = stage.run(stage.shell(&format!("exit {code}"))).await;
        assert_eq!(ended.code, code);
    }
}

async fn apart(stage: &Stage) {
    let ended = stage.run(stage.shell("echo out; echo err >&2")).await;
    assert_eq!((&*ended.stdout, &*ended.stderr), ("out\n", "err\n"));
}

async fn input_ends(stage: &Stage) {
    let mut container = stage.start(stage.spec(&["cat"])).await.unwrap();
    let mut stdin = container.stdin().unwrap();
    stdin.write_all(b"to the end").await.unwrap();
    drop(stdin);
    let ended = finish_without_input(container).await;
    assert_eq!(ended, ("to the end".to_owned(), 0));
}

async fn finish_without_input(mut container: agent::container::Container) -> (String, u8) {
    let mut text = String::new();
    let mut stdout = container.stdout().unwrap();
    stdout.read_to_string(&mut text).await.unwrap();
    (text, container.wait().await.unwrap().0)
}

async fn much(stage: &Stage) {
    const BYTES: usize = 10_000_000;
    let ended = stage
        .run(stage.shell(&format!("head -c {BYTES} /dev/zero | tr '\\0' x")))
        .await;
    assert_eq!(ended.stdout.len(), BYTES);
    assert!(ended.stdout.bytes().all(|byte| byte == b'x'));
}

/// Nobody reads: the writer waits, and goes on when somebody does.
async fn back_pressure(stage: &Stage) {
    let script = "trap 'echo waits >&2' USR1; head -c 1000000 /dev/zero & wait $!; wait $!";
    let mut container = stage.start(stage.shell(script)).await.unwrap();
    let mut stdout = container.stdout().unwrap();
    let first = stdout.read_u8().await.unwrap();
    assert_eq!(first, 0);
    container.signal(Signal::User1).unwrap();
    let mut stderr = BufReader::new(container.stderr().unwrap()).lines();
    let said = stderr.next_line().await.unwrap();
    assert_eq!(said.as_deref(), Some("waits"));
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), 999_999);
    assert_eq!(container.wait().await.unwrap().0, 0);
}

async fn signals(stage: &Stage) {
    let script = "trap 'exit 7' TERM; trap 'exit 8' INT; echo ready; while :; do sleep 1; done";
    for (signal, code) in [
        (Signal::Terminate, 7),
        (Signal::Interrupt, 8),
        (Signal::Hangup, 128 + 1),
        (Signal::User2, 128 + 12),
        (Signal::Kill, 128 + 9),
    ] {
        let mut container = stage.start(stage.shell(script)).await.unwrap();
        let mut stdout = BufReader::new(container.stdout().unwrap()).lines();
        assert_eq!(stdout.next_line().await.unwrap().as_deref(), Some("ready"));
        container.signal(signal).unwrap();
        assert_eq!(container.wait().await.unwrap().0, code, "{signal:?}");
        container.signal(signal).unwrap();
    }
}

/// A script's server, and one in a session of its own, do their last work when
/// the script has ended already.
async fn whoever_is_asked_to_end_may_end(stage: &Stage) {
    let server = "trap 'echo told; sleep 0.2; echo done; exit' TERM INT; \
        echo ready; while :; do sleep 0.05; done";
    let file = stage.directory("server").join("server");
    fs_err::write(&file, server).unwrap();
    for (signal, script) in [
        (Signal::Terminate, "setsid sh /server & sh /server & wait"),
        (Signal::Interrupt, "setsid sh /server & sh /server"),
    ] {
        let mut spec = stage.shell(script);
        spec.mounts.push(bind(&file, "/server", Access::ReadOnly));
        let mut container = stage.start(spec).await.unwrap();
        let mut lines = BufReader::new(container.stdout().unwrap()).lines();
        let mut said = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            said.push(line);
            if said == ["ready"; 2] {
                container.signal(signal).unwrap();
            }
        }
        container.wait().await.unwrap();
        said.sort_unstable();
        let expected = ["done", "done", "ready", "ready", "told", "told"];
        assert_eq!(said, expected, "{signal:?}");
    }
}

async fn own_signal(stage: &Stage) {
    let ended = stage.run(stage.shell("kill -TERM $$; echo survived")).await;
    assert_eq!((ended.code, &*ended.stdout), (128 + 15, ""));
    let ended = stage
        .run(stage.shell("kill -TERM 1 2>/dev/null; kill -KILL 1; echo $?"))
        .await;
    assert_ne!(ended.code, 128 + 9, "init survives its payload: {ended:?}");
}

/// The shell's grandchild outlives its parent and is left to init.
async fn orphans_are_reaped(stage: &Stage) {
    let script = "(sh -c 'exec true' & ) ; i=0; \
        while grep -qs '^State:.Z' /proc/[0-9]*/status && [ $i -lt 1000 ]; \
        do i=$((i+1)); done; [ $i -lt 1000 ]";
    assert_eq!(stage.run(stage.shell(script)).await.code, 0);
}

async fn terminal(stage: &Stage) {
    let mut spec = stage.shell("tty; stty size; id -u; stat -c %u /dev/pts/0; echo err >&2");
    spec.stdio = Stdio::Terminal {
        rows: 33,
        columns: 101,
    };
    let ended = finish(stage.start(spec).await.unwrap()).await;
    assert_eq!(
        ended.stdout,
        "/dev/pts/0\r\n33 101\r\n1001\r\n1001\r\nerr\r\n"
    );
    assert_eq!(ended.code, 0);
}

async fn resize(stage: &Stage) {
    let mut spec =
        stage.shell("trap 'stty size; exit 3' WINCH; echo ready; while :; do read x; done");
    spec.stdio = Stdio::Terminal {
        rows: 24,
        columns: 80,
    };
    let mut container = stage.start(spec).await.unwrap();
    let mut lines = BufReader::new(container.stdout().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
    container.resize(50, 132).unwrap();
    // Dash runs a trap when what it waits for returns.
    let mut stdin = container.stdin().unwrap();
    stdin.write_all(b"\n").await.unwrap();
    let said: Vec<_> = [
        lines.next_line().await.unwrap(),
        lines.next_line().await.unwrap(),
    ]
    .into();
    assert!(
        said.iter().flatten().any(|line| line == "50 132"),
        "{said:?}"
    );
    assert_eq!(container.wait().await.unwrap().0, 3);
}

async fn interrupt_key(stage: &Stage) {
    let mut spec = stage.shell("echo ready; exec sleep 1000");
    spec.stdio = Stdio::Terminal {
        rows: 24,
        columns: 80,
    };
    let mut container = stage.start(spec).await.unwrap();
    let mut lines = BufReader::new(container.stdout().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
    let mut stdin = container.stdin().unwrap();
    stdin.write_all(b"\x03").await.unwrap();
    assert_eq!(container.wait().await.unwrap().0, 128 + 2);
}
