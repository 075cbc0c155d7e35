//! `locald up`, and what looks after it from another terminal.

use std::net::TcpStream;

use harness::{
    App, Locald, Running, await_that, builder, busybox, free_port, locald, processes, unique,
};
use rustix::process::Signal;

/// A project with two services, of which one needs the other.
struct Shop {
    app: App,
    web: String,
    api: String,
}

/// Serves pages, and says when it is told to end.
const SERVER: &str = r#"
import http.server, os, signal, sys
name = os.environ["NAME"]
def end(*_):
    print(name, "ends", flush=True)
    sys.exit(0)
signal.signal(signal.SIGUSR1, end)
signal.signal(signal.SIGTERM, end)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(9)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"GREETING from " + name.encode())
    def log_message(self, *_):
        pass
print(name, "starts", flush=True)
http.server.ThreadingHTTPServer(("localhost", int(os.environ["PORT"])), Page).serve_forever()
"#;

impl Shop {
    fn new(more: &str) -> Self {
        let app = App::empty("shop");
        let (web, api) = (free_port().to_string(), free_port().to_string());
        let (builder, name) = (builder(), unique("shop"));
        let settings = format!(
            r#"
[build]
builder = "{builder}"
name = "{name}"
[services.web]
port = {web}
depends_on = ["api"]
health_check = "/"
env = {{ NAME = "web" }}
[services.api]
port = {api}
command = ["python3", "app.py"]
stop_signal = "USR1"
env = {{ NAME = "api" }}
{more}"#
        );
        app.write("locald.toml", &settings);
        app.write("app.py", SERVER);
        Self { app, web, api }
    }

    fn locald(&self, arguments: &[&str]) -> Locald {
        locald(arguments).current_dir(self.app.path())
    }

    fn up(&self, arguments: &[&str]) -> Running {
        let mut up = self.locald(&[&["up"], arguments].concat()).job().start();
        up.await_output("web is up");
        up
    }

    /// The state of each service, by name.
    fn states(&self) -> serde_json::Map<String, serde_json::Value> {
        let output = self.locald(&["ps", "--json"]).succeed();
        let services = output.json()[0]["services"].clone();
        let services = services.as_array().unwrap().iter();
        let state =
            |it: &serde_json::Value| (it["name"].as_str().unwrap().to_owned(), it["state"].clone());
        services.map(state).collect()
    }

    fn is_open(port: &str) -> bool {
        TcpStream::connect(format!("127.0.0.1:{port}")).is_ok()
    }
}

/// Where a text stands in another.
fn place(text: &str, part: &str) -> usize {
    let found = text.find(part);
    found.unwrap_or_else(|| panic!("{part:?} is not in {text:?}"))
}

#[test]
fn services_start_in_order_and_ctrl_c_stops_them_in_reverse() {
    let shop = Shop::new("[services.job]\ntype = \"worker\"\ncommand = \"echo $((6 * 7))\"\n");
    let mut up = shop.up(&[]);
    assert!(harness::page(&shop.web).contains("GREETING from web"));
    assert!(harness::page(&shop.api).contains("GREETING from api"));
    up.await_output("job ended with 0");
    up.ctrl_c();
    let output = up.wait();
    let (out, err) = (&output.stdout, &output.stderr);
    assert_eq!(output.code, 130, "{err}");
    assert!(!err.contains("error"), "{err}");
    assert!(place(err, "api is up") < place(err, "web is up"), "{err}");
    assert!(place(out, "api | api starts") < place(out, "web | web starts"));
    assert!(place(out, "web | web ends") < place(out, "api | api ends"));
    assert!(out.contains("job | 42\n"), "{out}");
    assert!(!Shop::is_open(&shop.web) && !Shop::is_open(&shop.api));
    // Nothing has changed: it starts at once, and only what is asked for.
    let mut api = shop.locald(&["up", "api"]).start();
    api.await_output("api is up");
    assert!(!Shop::is_open(&shop.web));
    api.signal(Signal::TERM);
    assert_eq!(api.wait().code, 143);
}

#[test]
fn a_ready_made_image_is_a_service_too() {
    let port = free_port().to_string();
    let command = "echo kept >/tmp/index.html; exec httpd -f -p $PORT -h /tmp";
    let shop = Shop::new(&format!(
        "[services.cache]\nimage = \"{}\"\nport = {port}\ncommand = \"{command}\"\n",
        busybox()
    ));
    let mut up = shop.locald(&["up", "cache"]).job().start();
    up.await_output("cache is up");
    assert!(harness::page(&port).contains("kept"));
    assert!(!Shop::is_open(&shop.api));
    assert_eq!(shop.states()["cache"], "healthy");
    up.ctrl_c();
    let output = up.wait();
    assert_eq!(output.code, 130, "{}", output.stderr);
    // Its source was not even looked at.
    assert!(!output.stderr.contains("Building"), "{}", output.stderr);
    assert!(!Shop::is_open(&port));
}

#[test]
fn a_second_ctrl_c_kills_what_does_not_stop() {
    let shop = Shop::new(
        "[services.deaf]\ntype = \"worker\"\ncommand = \"trap 'echo no' TERM; echo up; while :; do sleep 0.1; done\"\n",
    );
    let mut up = shop.up(&[]);
    up.await_output("deaf | up");
    up.ctrl_c();
    up.await_output("deaf | no");
    let start = std::time::Instant::now();
    up.ctrl_c();
    assert_eq!(up.wait().code, 130);
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn what_crashes_starts_again() {
    let shop = Shop::new("");
    let mut up = shop.up(&[]);
    // The connection ends without a page.
    let mut stream = TcpStream::connect(format!("127.0.0.1:{}", shop.api)).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /crash HTTP/1.0\r\n\r\n").unwrap();
    up.await_output("api ended with 9; it starts again in 0.50 s");
    assert!(harness::page(&shop.api).contains("GREETING from api"));
    let states = || shop.states();
    await_that("the api is healthy again", || states()["api"] == "healthy");
    assert_eq!(states()["web"], "healthy");
    up.signal(Signal::INT);
    let output = up.wait();
    assert_eq!(output.stdout.matches("api starts").count(), 2);
    assert_eq!(output.stdout.matches("web starts").count(), 1);
}

#[test]
fn another_terminal_sees_and_stops() {
    let shop = Shop::new("");
    let nothing = shop.locald(&["ps"]).succeed();
    assert!(nothing.stdout.starts_with("No service runs"));
    let up = shop.up(&[]);
    let states = shop.states();
    assert_eq!(
        (&states["web"], &states["api"]),
        (&"healthy".into(), &"healthy".into())
    );
    shop.locald(&["up"])
        .fail(111, "runs already for this project");
    let api = shop.locald(&["logs", "api"]).succeed();
    assert_eq!(api.stdout, "api starts\n");
    shop.locald(&["logs", "wbe"])
        .fail(111, "no service \"wbe\"");
    // The project is found from below, too.
    shop.app.write(".git/HEAD", "ref: refs/heads/main\n");
    shop.app.write("deep/down/x", "");
    let both = shop.locald(&["logs", "api", "web"]);
    let both = both
        .current_dir(&shop.app.path().join("deep/down"))
        .succeed();
    assert!(both.stdout.contains("web | web starts"), "{}", both.stdout);
    let mut follower = shop.locald(&["logs", "-f"]).start();
    follower.await_output("web | web starts");

    shop.locald(&["stop", "wbe"])
        .fail(111, "no service \"wbe\" runs here");
    let stopped = shop.locald(&["stop", "api"]).succeed();
    assert_eq!(stopped.stdout, "Stopped api\n");
    assert!(!Shop::is_open(&shop.api));
    assert_eq!(shop.states()["api"], "stopped");
    follower.await_output("api | api ends");

    let restarted = shop.locald(&["restart", "api", "web"]).succeed();
    assert_eq!(restarted.stdout, "Restarting api, web\n");
    await_that("both are up again", || {
        let states = shop.states();
        states["api"] == "healthy" && states["web"] == "healthy" && Shop::is_open(&shop.api)
    });
    up.signal(Signal::STOP);
    shop.locald(&["stop"])
        .fail(121, "`locald up` does not answer");
    up.signal(Signal::CONT);
    let all = shop.locald(&["down"]).succeed();
    assert!(all.stdout.contains("web"), "{}", all.stdout);
    assert!(!Shop::is_open(&shop.web));
    assert_eq!(up.wait().code, 0);
    assert_eq!(follower.wait().code, 0);
    let nothing = shop.locald(&["stop"]).succeed();
    assert_eq!(nothing.stdout, "No service runs\n");
    shop.locald(&["restart"])
        .fail(112, "does not run for this project");
    let logs = shop.locald(&["logs"]).succeed().stdout;
    assert!(logs.contains("web | web ends"), "{logs}");
}

#[test]
fn what_is_killed_leaves_nothing_and_the_next_one_works() {
    let mark = 400_000 + std::process::id();
    let shop = Shop::new(&format!(
        "[services.job]\ntype = \"worker\"\ncommand = \"exec sleep {mark}\"\n"
    ));
    let mut up = shop.up(&[]);
    up.await_output("job has started");
    up.signal(Signal::KILL);
    up.wait();
    await_that("the processes are gone", || {
        processes(&format!("sleep {mark}")).is_empty()
            && !Shop::is_open(&shop.web)
            && !Shop::is_open(&shop.api)
    });
    let up = shop.up(&[]);
    assert_eq!(shop.states()["web"], "healthy");
    shop.locald(&["stop"]).succeed();
    assert_eq!(up.wait().code, 0);
}

#[test]
fn a_change_restarts_the_service_that_it_concerns() {
    let shop = Shop::new("");
    let port = free_port();
    let own =
        format!("[services.own]\nworkdir = \"own\"\nport = {port}\nenv = {{ NAME = \"own\" }}\n");
    let settings = fs_err::read_to_string(shop.app.path().join("locald.toml")).unwrap();
    shop.app.write("locald.toml", &format!("{settings}{own}"));
    shop.app.write(".dockerignore", "own\n");
    shop.app.write("own/app.py", SERVER);
    let mut up = shop.up(&["--watch"]);
    up.await_output("own is up");

    shop.app.write("own/app.py", "def (\n");
    up.await_output("The old process keeps running");
    let own = port.to_string();
    assert!(harness::page(&own).contains("GREETING from own"));
    shop.app
        .write("own/app.py", &SERVER.replace("GREETING", "Good day"));
    await_that("the page is the new one", || {
        harness::page(&own).contains("Good day from own")
    });
    let logs = shop.locald(&["logs"]).succeed().stdout;
    let starts = |name: &str| logs.matches(&format!("{name} starts")).count();
    assert_eq!((starts("own"), starts("web"), starts("api")), (2, 1, 1));

    let now = fs_err::read_to_string(shop.app.path().join("locald.toml")).unwrap();
    let other = free_port().to_string();
    shop.app.write("locald.toml", &now.replace(&own, &other));
    up.await_output("locald.toml says something else of own now");
    shop.locald(&["stop"]).succeed();
    up.wait();
}

#[test]
fn a_procfile_says_what_starts_and_commands_say_more() {
    let app = App::empty("shop");
    let (builder, name) = (builder(), unique("procfile"));
    let settings = format!(
        r#"
[build]
builder = "{builder}"
name = "{name}"
[services.setup]
depends_on = ["first"]
[services.first]
command = "echo $WHAT > /tmp/shown; exec cat /tmp/shown"
env = {{ WHAT = "made" }}
[services.other]
depends_on = ["setup"]
"#
    );
    app.write("locald.toml", &settings);
    app.write("app.py", "print('by default')\n");
    app.write(
        "Procfile",
        "setup: echo its own line\nweb: echo the line of web\n",
    );
    // All end well, and so does `up`.
    let output = locald(["up"]).current_dir(app.path()).succeed();
    for line in [
        "first | made",
        "setup | its own line",
        "other | the line of web",
    ] {
        place(&output.stdout, line);
    }
    assert!(
        output.stderr.contains("No service runs any more"),
        "{}",
        output.stderr
    );
    // With the words of programs.
    let json = locald(["up", "--json"])
        .current_dir(app.path())
        .succeed()
        .json();
    let said = json.iter().filter(|it| it["event"] == "service-output");
    // Without a health check the next one starts as soon as one runs.
    let mut lines: Vec<_> = said.map(|it| it["line"].as_str().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["its own line", "made", "the line of web"]);
}

#[test]
fn a_health_check_by_a_command_and_one_that_fails() {
    let port = free_port();
    let shop = Shop::new(&format!(
        r#"
[services.slow]
port = {port}
command = ["python3", "app.py"]
env = {{ NAME = "slow" }}
health_check = {{ command = "python3 -c \"import os, urllib.request as r; r.urlopen('http://localhost:' + os.environ['PORT'])\"" }}
[services.never]
command = "exec sleep 1000"
health_check = {{ command = "exit 4", timeout = "300ms" }}
"#
    ));
    let mut up = shop.up(&[]);
    up.await_output("slow is up");
    up.await_output("never is not healthy 0.30 s after its start: the command ended with 4");
    up.await_output("never is not up; it starts again");
    up.ctrl_c();
    assert_eq!(up.wait().code, 130);
}

#[test]
fn what_cannot_work_is_said() {
    let app = App::web();
    let run = || locald(["up"]).current_dir(app.path());
    run().fail(111, "which lists the services");
    app.write("locald.toml", "[services.web]\nprot = 80\n");
    run().fail(111, "locald.toml:2: unknown key `prot`");
    let shop = Shop::new("");
    shop.locald(&["up", "wbe"]).fail(111, "no service \"wbe\"");
    // Somebody else's port.
    let taken = std::net::TcpListener::bind(format!("127.0.0.1:{}", shop.api)).unwrap();
    let mut up = shop.locald(&["up"]).start();
    up.await_output("on which another program listens");
    drop(taken);
    up.await_output("web is up");
    up.signal(Signal::INT);
    assert_eq!(up.wait().code, 130);
}
