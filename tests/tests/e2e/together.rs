//! Many processes change one store at once: what happens is what would have
//! happened in some order.

use std::path::Path;

use harness::{App, Locald, builder, busybox, locald, setting};

/// Processes at a time.
const WORKERS: u32 = 6;
/// Commands of each.
const STEPS: u32 = 8;

/// A worker's own names are nobody else's; the pulled image is everybody's.
struct Worker<'a> {
    number: u32,
    home: &'a Path,
    app: App,
}

impl Worker<'_> {
    fn locald(&self, arguments: &[&str]) -> Locald {
        locald(arguments).home(self.home)
    }

    fn run(&self) {
        // Each begins somewhere else in the same row of commands.
        for step in 0..STEPS {
            match (step + self.number) % 4 {
                0 => {
                    let folder = self.app.text();
                    self.app.write("step", &step.to_string());
                    let name = format!("own-{}", self.number);
                    let builder = builder();
                    let build = ["build", &folder, "-t", &name, "--builder", &builder];
                    self.locald(&build).succeed();
                }
                1 => {
                    // Whoever pulls has it, until somebody removes it.
                    self.locald(&["pull", &busybox()]).succeed();
                    let kept = format!("kept-{}-{step}", self.number);
                    let tagged = self.locald(&["image", "tag", &busybox(), &kept]).run();
                    assert!([0, 112].contains(&tagged.code), "{}", tagged.stderr);
                    if tagged.code == 0 {
                        let run = ["run", "--command", &kept, "--", "/bin/sh", "-c", "true"];
                        self.locald(&run).succeed();
                    }
                }
                2 => {
                    let removed = self.locald(&["image", "rm", &busybox()]).run();
                    assert!([0, 112].contains(&removed.code), "{}", removed.stderr);
                }
                _ => {
                    let prune = ["prune", "--yes", "--unused-for", "1h"];
                    self.locald(&prune).succeed();
                }
            }
        }
    }
}

#[test]
fn many_processes_change_one_store() {
    // An agent of its own has each of them in any case.
    if setting("LOCALD_TEST_MODE") != "in-process" {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let app = App::probe("true");
    let build = ["build", &app.text(), "-t", "first", "--builder", &builder()];
    locald(build).home(home.path()).succeed();
    std::thread::scope(|scope| {
        for number in 0..WORKERS {
            let (app, home) = (App::probe("true"), home.path());
            let worker = Worker { number, home, app };
            scope.spawn(move || worker.run());
        }
    });
    let verified = locald(["store", "verify"]).home(home.path()).succeed();
    assert!(verified.stdout.contains("sound"), "{}", verified.stdout);
    let listed = locald(["image", "ls", "-q"]).home(home.path()).succeed();
    let names: Vec<&str> = listed.stdout.lines().collect();
    let own = (0..WORKERS).map(|number| format!("own-{number}"));
    for name in own.chain(["first".to_owned()]) {
        assert!(names.contains(&&*name), "{name} is lost: {names:?}");
        let run = ["run", "--command", &name, "--", "true"];
        locald(run).home(home.path()).succeed();
    }
    let tagged: Vec<_> = names.iter().filter(|it| it.starts_with("kept-")).collect();
    for name in tagged {
        let run = ["run", "--command", name, "--", "/bin/sh", "-c", "true"];
        locald(run).home(home.path()).succeed();
    }
}

#[test]
fn a_name_is_given_only_to_what_is_not_being_swept() {
    use rustix::fs::{FlockOperation, flock};
    let home = tempfile::tempdir().unwrap();
    locald(["pull", &busybox()]).home(home.path()).succeed();
    let sweep = fs_err::File::open(home.path().join("store/locks/use.lock")).unwrap();
    flock(&sweep, FlockOperation::LockExclusive).unwrap();
    let tag = ["image", "tag", &busybox(), "late"];
    let mut tag = locald(tag).home(home.path()).start();
    tag.await_output("Waiting for");
    drop(sweep);
    assert_eq!(tag.wait().code, 0);
}
