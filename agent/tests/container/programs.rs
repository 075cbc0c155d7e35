//! Programs that must work under the filter of system calls.

use agent::container::{Access, Network};

use crate::stage::{Stage, bind};

pub(crate) const TESTS: &[crate::Test] = &[
    ("programs::c", |stage| Box::pin(c(stage))),
    ("programs::go", |stage| Box::pin(go(stage))),
    ("programs::node", |stage| Box::pin(node(stage))),
    ("programs::python", |stage| Box::pin(python(stage))),
    ("programs::rust", |stage| Box::pin(rust(stage))),
];

/// Runs a script, which must succeed, unless the machine lacks the program.
async fn works(stage: &Stage, program: &str, script: &str) {
    let installed = ["/usr/bin", "/usr/local/bin", "/usr/local/go/bin"]
        .iter()
        .any(|directory| std::path::Path::new(directory).join(program).exists());
    if !installed {
        println!("  {program} is not installed");
        return;
    }
    let mut spec = stage.shell(&format!("set -e; cd /tmp; export HOME=/tmp; {script}"));
    spec.network = Network::Host;
    spec.env = vec![(
        "PATH".to_owned(),
        "/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin".to_owned(),
    )];
    for path in ["/etc/alternatives", "/etc/ssl"] {
        if std::path::Path::new(path).exists() {
            spec.mounts.push(bind(path, path, Access::ReadOnly));
        }
    }
    let ended = stage.run(spec).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.stdout.lines().last(), Some("works"), "{ended:?}");
}

async fn c(stage: &Stage) {
    let script = "printf '#include <stdio.h>\\n#include <threads.h>\\n\
        int f(void *a) { return puts(a) < 0; }\\n\
        int main(void) { thrd_t t; thrd_create(&t, f, \"works\"); return thrd_join(t, 0); }' > a.c; \
        gcc -O2 a.c; ./a.out";
    works(stage, "gcc", script).await;
}

async fn go(stage: &Stage) {
    let script = "printf 'package main\\nimport (\"net/http\"; \"net/http/httptest\"; \"os/exec\"; \"fmt\")\\n\
        func main() { s := httptest.NewServer(http.NotFoundHandler()); \
        if _, e := http.Get(s.URL); e != nil { panic(e) }; \
        o, e := exec.Command(\"echo\", \"works\").Output(); if e != nil { panic(e) }; \
        fmt.Print(string(o)) }' > a.go; go run a.go";
    works(stage, "go", script).await;
}

async fn node(stage: &Stage) {
    let script = "node -e 'const fs = require(\"fs\"), w = require(\"worker_threads\");\
        fs.promises.readFile(\"/etc/hosts\").then(() => new w.Worker(\
        \"require(`child_process`).execSync(`true`)\", {eval: true}).on(\"exit\", \
        code => { if (code == 0) console.log(\"works\") }))'";
    works(stage, "node", script).await;
}

async fn python(stage: &Stage) {
    let script = "/usr/bin/python3 -c 'import subprocess, multiprocessing, tempfile, socket, os\n\
p = multiprocessing.Pool(2)\nassert p.map(abs, [-1, 2]) == [1, 2]\n\
tempfile.TemporaryDirectory().cleanup()\nsocket.socketpair()\n\
print(subprocess.check_output([\"echo\", \"works\"], text=True), end=\"\")'";
    works(stage, "python3", script).await;
}

async fn rust(stage: &Stage) {
    let mut spec = stage.spec(&["/test", "--list"]);
    let program = std::env::current_exe().unwrap();
    spec.mounts.push(bind(program, "/test", Access::ReadOnly));
    let ended = stage.run(spec).await;
    assert!(ended.stdout.contains("programs::rust: test"), "{ended:?}");
}
