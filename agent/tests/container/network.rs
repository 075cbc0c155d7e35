//! Which networks containers see.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use agent::container::network::LoopbackNetwork;
use agent::container::{Access, Network};

use crate::confinement::outcome;
use crate::stage::{Stage, bind};

/// Makes this program connect to sockets, inside of a container.
pub(crate) const CONNECT: &str = "__connect";

pub(crate) const TESTS: &[crate::Test] = &[
    ("network::isolated", |stage| Box::pin(isolated(stage))),
    ("network::host", |stage| Box::pin(host(stage))),
    ("network::abstract_sockets", |stage| {
        Box::pin(abstract_sockets(stage))
    }),
    ("network::prepared", |stage| Box::pin(prepared(stage))),
];

const INTERFACES: &str = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; ls /sys/class/net";

async fn isolated(stage: &Stage) {
    let ended = stage.run(stage.shell(INTERFACES)).await;
    assert_eq!(ended.stdout, "lo\nlo\n", "{ended:?}");
    let up = stage.run(stage.shell("cat /sys/class/net/lo/flags")).await;
    let flags = u32::from_str_radix(up.stdout.trim().trim_start_matches("0x"), 16).unwrap();
    assert_eq!(flags & 1, 1, "the loopback device is up");
}

async fn host(stage: &Stage) {
    let mut spec = stage.shell("cat /proc/net/dev; echo x > /sys/class/net/lo/mtu");
    spec.network = Network::Host;
    let ended = stage.run(spec).await;
    let own = fs_err::read_to_string("/proc/thread-self/net/dev").unwrap();
    let names = |text: &str| -> Vec<String> {
        let names = text.lines().filter_map(|line| line.split_once(':'));
        names.map(|(name, _)| name.trim().to_owned()).collect()
    };
    assert_eq!(names(&ended.stdout), names(&own));
    assert!(ended.stderr.contains("Read-only"), "{ended:?}");
}

/// They belong to the network that is shared, and have no owner.
async fn abstract_sockets(stage: &Stage) {
    let name = format!("locald-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    UnixStream::connect_addr(&address).unwrap();
    let mut spec = stage.spec(&["/probe", CONNECT, &name]);
    let program = std::env::current_exe().unwrap();
    spec.mounts.push(bind(program, "/probe", Access::ReadOnly));
    spec.network = Network::Host;
    let ended = stage.run(spec).await;
    let expected = if agent::container::has_scopes() {
        "outside: EPERM, inside: ok\n"
    } else {
        "outside: ok, inside: ok\n"
    };
    assert_eq!(ended.stdout, expected, "{ended:?}");
}

/// Connects to a socket of the machine, and to one of its own.
pub(crate) fn connect() {
    let name = std::env::args().nth(2).unwrap();
    let connect = |name: &str| {
        let address = SocketAddr::from_abstract_name(name).unwrap();
        outcome(UnixStream::connect_addr(&address).err())
    };
    let own = format!("{name}-inside");
    let address = SocketAddr::from_abstract_name(&own).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    println!("outside: {}, inside: {}", connect(&name), connect(&own));
}

/// The agent answers on a privileged port inside, and nowhere else.
async fn prepared(stage: &Stage) {
    let network = LoopbackNetwork::new(&[443, 5000]).unwrap();
    assert!(matches!(network.listeners.len(), 2 | 4));
    assert!(std::net::TcpStream::connect("127.0.0.1:443").is_err());
    let listeners: Vec<_> = network
        .listeners
        .iter()
        .map(|l| l.try_clone().unwrap())
        .collect();
    for listener in listeners {
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut request = [0; 5];
                stream.read_exact(&mut request).unwrap();
                stream
                    .write_all(&request.map(|byte| byte.to_ascii_uppercase()))
                    .unwrap();
            }
        });
    }
    let script = "exec bash -c 'for at in registry.example/443 localhost/5000; do \
        exec 3<>/dev/tcp/$at; printf hello >&3; cat <&3; echo; done'; ";
    let mut spec = stage.shell(script);
    spec.network = network.network();
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    spec.extra_hosts
        .push(("registry.example".to_owned(), address));
    let ended = stage.run(spec).await;
    assert_eq!(ended.stdout, "HELLO\nHELLO\n", "{ended:?}");
}
