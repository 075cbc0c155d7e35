//! What programs of buildpacks and images find around them: as with pack and
//! Docker, and as the machine has it.

use std::process::{Child, Command, Stdio};

use harness::{App, await_that, builder, free_port, in_terminal, locald, setting, unique};

use super::build;

#[test]
fn home_and_host_name_are_those_of_the_image() {
    let app = App::probe("echo build: $HOME $HOSTNAME; touch $HOME/mine");
    app.write("detect.sh", "echo detect: $HOME $HOSTNAME");
    let name = unique("home");
    let built = locald(["build", &app.text(), "-t", &name, "-B", &builder(), "-v"]).succeed();
    let said = built.all();
    for phase in ["detect", "build"] {
        assert!(
            said.contains(&format!("{phase}: /home/cnb locald")),
            "{said}"
        );
    }
    let script = ["--", "sh", "-c", "echo $HOME $HOSTNAME"];
    for (place, options) in [
        (&["run", "--command", &name][..], &[][..]),
        (&["run", "--command", &name], &["-e", "HOME="]),
        (&["shell", &app.text()], &[]),
    ] {
        let said = locald([place, options, &script].concat()).succeed().stdout;
        assert_eq!(said, "/home/cnb locald\n", "{place:?} {options:?}");
    }
    let given = [
        "run",
        "--command",
        &name,
        "-e",
        "HOME=/tmp",
        "-e",
        "HOSTNAME=x",
    ];
    let said = locald([&given[..], &script].concat()).succeed().stdout;
    assert_eq!(said, "/tmp x\n");
}

#[test]
fn a_terminal_is_known_by_its_name() {
    let app = App::probe("true");
    let name = unique("term");
    build(&app, &name);
    let locald = setting("LOCALD_BIN");
    let script = "'echo $TERM $COLORTERM $LANG; tput clear >/dev/null && echo clear'";
    for command in [
        format!("shell '{}' -- sh -c {script}", app.text()),
        format!("run --command {name} -- sh -c {script}"),
    ] {
        let of = |term: &str| {
            let terminal = format!("TERM={term} COLORTERM=truecolor LC_ALL=de_DE.UTF-8");
            in_terminal(&format!("env {terminal} {locald} {command}"))
        };
        let said = of("screen");
        assert!(said.contains("screen truecolor C.UTF-8\r\n"), "{said}");
        assert!(said.contains("clear\r\n"), "{said}");
        // Debian's programs have not heard of it.
        let said = of("xterm-unheard-of");
        assert!(said.contains("xterm-256color truecolor"), "{said}");
    }
    let piped = locald_says(&["run", "--command", &name, "--", "sh", "-c", "echo $TERM."]);
    assert_eq!(piped, ".\n");
}

fn locald_says(arguments: &[&str]) -> String {
    locald(arguments.iter()).succeed().stdout
}

/// Programs of a buildpack that make a part of the environment find what the
/// build has left, and nothing is added twice.
#[test]
fn a_shell_begins_as_the_image_does() {
    let app = App::probe(
        "touch left-by-the-build\n\
        layer=$CNB_LAYERS_DIR/tool\n\
        mkdir -p $layer/bin $layer/env $layer/exec.d\n\
        printf '[types]\\nbuild = true\\nlaunch = true\\n' >$layer.toml\n\
        printf -- -x >$layer/env/FLAGS.append\n\
        cat >$layer/exec.d/look <<'END'\n\
        #!/bin/sh\n\
        echo noise\n\
        [ -e /workspace/left-by-the-build ] || exit 1\n\
        [ -r /sys/fs/cgroup/memory.max ] || [ -r /sys/fs/cgroup/memory/memory.limit_in_bytes ] || exit 1\n\
        echo 'FOUND = \"yes\"' >&3\n\
        END\n\
        chmod +x $layer/exec.d/look",
    );
    let name = unique("begin");
    app.write(
        "locald.toml",
        &format!(
            "[build]\nbuilder = \"{}\"\nname = \"{}\"\n",
            builder(),
            name
        ),
    );
    let script = "echo $FOUND $FLAGS $PATH; ls left-by-the-build 2>/dev/null; pwd";
    let shell = ["shell", &app.text(), "--", "sh", "-c", script];
    let path =
        "/layers/test_probe/tool/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for _ in ["built", "built again"] {
        let said = locald(shell).succeed();
        assert!(
            said.stdout
                .ends_with(&format!("yes -x {path}\n/workspace\n")),
            "{}",
            said.stdout
        );
        // Nothing of the image need be there any more.
        locald(["image", "rm", &name]).run();
    }
}

/// A server whose authority only this machine trusts, as a company's proxy.
struct Server {
    process: Child,
    url: String,
    authority: String,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (key, authority) = (path("key.pem"), path("authority.pem"));
        let line = "req -x509 -newkey rsa:2048 -nodes -subj /O=Acme/CN=Proxy -days 2 -addext subjectAltName=DNS:localhost";
        let made = Command::new("openssl")
            .args(line.split(' '))
            .args(["-keyout", &key, "-out", &authority])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let port = free_port();
        let process = Command::new("openssl")
            .args([
                "s_server", "-quiet", "-www", "-key", &key, "-cert", &authority,
            ])
            .args(["-accept", &port.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        await_that("the server listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            process,
            url: format!("https://localhost:{port}/"),
            authority,
            _directory: directory,
        }
    }

    fn locald(&self, arguments: &[&str]) -> harness::Locald {
        let locald = locald(arguments.iter()).env("SSL_CERT_FILE", &self.authority);
        locald.env("NO_PROXY", "localhost,acme.test")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn whom_the_machine_trusts_the_programs_of_builds_shells_and_runs_trust() {
    let server = Server::start();
    // With the variables, by the directory alone, and by the bundle alone.
    let python = format!(
        "python3 -c 'import urllib.request as it; it.urlopen(\"{}\")'",
        server.url
    );
    let python =
        format!("{python} && env -u SSL_CERT_FILE -u SSL_CERT_DIR {python} && echo python trusts");
    let curl = format!(
        "! command -v curl >/dev/null || curl -sSf -o /dev/null {} && echo curl trusts",
        server.url
    );
    let script = format!(
        "{python}; {curl}; echo $no_proxy $NO_PROXY; head -1 $NODE_EXTRA_CA_CERTS $REQUESTS_CA_BUNDLE | uniq -c"
    );
    let app = App::probe(&script);
    let name = unique("trust");
    let line = ["build", &app.text(), "-t", &name, "-B", &builder(), "-v"];
    let built = server.locald(&line).succeed();
    let shell = server.locald(&["shell", &app.text(), "--", "sh", "-c", &script]);
    let run = [
        "run",
        "--command",
        "--proxy",
        &name,
        "--",
        "sh",
        "-c",
        &script,
    ];
    let run = server.locald(&run);
    for said in [built, shell.succeed(), run.succeed()] {
        let said = said.all();
        for what in [
            "python trusts",
            "curl trusts",
            "localhost,acme.test localhost,acme.test",
            "-----BEGIN",
        ] {
            assert!(said.contains(what), "{what}: {said}");
        }
    }
    let run = [
        "run",
        "--command",
        &name,
        "--",
        "sh",
        "-c",
        "echo $NO_PROXY$SSL_CERT_FILE.",
    ];
    assert_eq!(server.locald(&run).succeed().stdout, ".\n");
}
