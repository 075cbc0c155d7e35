//! A file system that takes no more: it is named, with what would free how
//! much, and nothing is lost.

use std::process::Command;

use harness::{App, builder, busybox, setting};

/// What a script needs to know.
const PRELUDE: &str = r#"
    export LOCALD_HOME=$disk/home
    unset LOCALD_AGENT
    fails() { code=$1; shift; "$@" && exit 90; [ $? = "$code" ] || { echo "not $code: $*" >&2; exit 91; }; }
    fill() { dd if=/dev/zero of="$disk/fill" bs=64k 2>/dev/null || [ -s "$disk/fill" ]; }
"#;

/// A small file system that ends with the script on it.
enum Disk<'a> {
    /// In memory, with these options.
    Memory(&'a str),
    /// On a loop device, which only root can have: so many megabytes, and the
    /// options of `mkfs.ext4`.
    Ext4(u32, &'a str),
}

/// Runs a script where `$disk` is a small file system, and returns what it
/// said on standard error. Each of its commands must end well.
fn on(disk: &Disk<'_>, script: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().display();
    let mount = match disk {
        Disk::Memory(options) => format!("mount -t tmpfs -o {options} small $disk"),
        Disk::Ext4(megabytes, options) => format!(
            "truncate -s {megabytes}M $disk.image; mkfs.ext4 -q {options} $disk.image; \
             mount -o loop $disk.image $disk"
        ),
    };
    let script = format!(
        "set -e; disk={place}/disk; mkdir $disk; {mount}; {PRELUDE}
         locald={bin}; busybox={image}\n{script}",
        bin = setting("LOCALD_BIN"),
        image = busybox(),
    );
    let mut command = Command::new("unshare");
    if rustix::process::geteuid().is_root() {
        command.arg("--mount");
    } else {
        command.args(["--user", "--map-root-user", "--mount"]);
    }
    let output = command.args(["sh", "-c", &script]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{}: {stdout}{stderr}",
        output.status
    );
    stderr
}

/// The scripts start what they need themselves: once is enough.
fn was_tried() -> bool {
    setting("LOCALD_TEST_MODE") != "in-process"
}

#[test]
fn a_pull_without_space_is_told_and_works_when_there_is_some() {
    if was_tried() {
        return;
    }
    let said = on(
        &Disk::Memory("size=1m"),
        "fails 120 $locald pull $busybox
         mount -o remount,size=16m small $disk
         $locald store verify; $locald pull $busybox; $locald store verify
         $locald run --command $busybox -- /bin/sh -c true",
    );
    assert!(said.contains("the tmpfs file system at /"), "{said}");
    assert!(said.contains("/disk has 1 MB of 1 MB left"), "{said}");
    assert!(said.contains("LOCALD_HOME"), "{said}");
}

#[test]
fn a_full_file_system_is_read_and_pruned() {
    if was_tried() {
        return;
    }
    let said = on(
        &Disk::Memory("size=8m"),
        "$locald pull $busybox
         head -c 2000000 /dev/zero >$LOCALD_HOME/store/blobs/sha256/$(printf '0%.0s' $(seq 64))
         fill
         fails 120 $locald image tag $busybox other
         $locald image ls; $locald store
         $locald prune --yes
         $locald image tag $busybox other; $locald image tag $busybox more
         $locald store verify
         $locald run --command other -- /bin/sh -c true
         # Names go, and what they alone need, without a free byte.
         fill
         $locald image rm more; fill; $locald image rm $busybox; fill
         $locald image rm other; [ \"$($locald image ls -q)\" = '' ]
         rm $disk/fill; $locald pull $busybox; $locald store verify",
    );
    assert!(said.contains("`locald prune` frees 2 MB"), "{said}");
    assert!(said.contains("has 0 kB of 8 MB left"), "{said}");
}

#[test]
fn a_file_system_without_files_is_told() {
    if was_tried() {
        return;
    }
    let said = on(
        &Disk::Memory("size=16m"),
        "$locald pull $busybox; $locald image rm $busybox
         rm -rf $LOCALD_HOME/store/tmp/*
         mount -o remount,nr_inodes=$(($(df --output=iused $disk | tail -n 1) + 6)) small $disk
         while touch $disk/taken-$((n += 1)) 2>/dev/null; do :; done
         $locald image ls; $locald prune --yes
         rm $disk/taken-*
         fails 120 $locald pull $busybox
         mount -o remount,nr_inodes=1000 small $disk
         $locald pull $busybox; $locald store verify
         $locald image tag $busybox kept
         while touch $disk/taken-$((n += 1)) 2>/dev/null; do :; done
         $locald image rm kept; $locald image rm $busybox; $locald prune --yes",
    );
    assert!(said.contains("files left"), "{said}");
}

#[test]
fn a_file_system_that_is_read_only_is_told() {
    if was_tried() {
        return;
    }
    let said = on(
        &Disk::Memory("size=16m"),
        "$locald pull $busybox
         killed=$LOCALD_HOME/store/tmp/killed; mkdir $killed; touch $killed/.owner
         mount -o remount,ro small $disk
         $locald image ls; $locald image inspect $busybox
         fails 119 $locald image tag $busybox other
         fails 119 $locald pull $busybox
         mount -o remount,rw small $disk
         $locald image tag $busybox other; $locald store verify; [ ! -e $killed ]",
    );
    assert!(said.contains("mounted read-only"), "{said}");
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_build_keeps_the_earlier_image() {
    // A loop device is root's.
    if was_tried() || !rustix::process::geteuid().is_root() {
        return;
    }
    // More levels than files may be open at a time, see below.
    let app = App::probe(
        "[ ! -e full ] || dd if=/dev/zero of=/layers/big bs=1M || exit 1
         [ ! -e deep ] || { cd /layers; n=0; while [ $((n += 1)) -le 1100 ]; do mkdir d; cd d; done; }",
    );
    let script = format!(
        "export app='{app}'
         build() {{ $locald build $app -t kept --builder {builder}; }}
         build; before=$($locald image inspect kept --json)
         touch $app/full; fails 51 build; rm $app/full
         [ \"$before\" = \"$($locald image inspect kept --json)\" ]
         $locald store verify
         $locald run --command kept -- true
         fill; fails 120 $locald pull $busybox
         fails 120 $locald image export kept oci-archive:$disk/kept.tar
         rm $disk/fill; $locald image export kept oci-archive:$disk/kept.tar
         echo changed >$app/changed; build; $locald store verify
         ulimit -n 1024
         touch $app/deep; build; rm $app/deep; build; $locald build $app -t kept --builder {builder} --clear-cache
         touch $app/deep; build; $locald prune --yes --unused-for 0d; [ -z \"$(ls $LOCALD_HOME/store/projects)\" ]",
        app = app.text(),
        builder = builder(),
    );
    let said = on(&Disk::Ext4(1200, "-N 60000"), &script);
    assert!(said.contains("No space left"), "{said}");
    assert!(said.contains("the ext4 file system at /"), "{said}");
}

#[test]
fn few_descriptors_are_enough_or_told() {
    if was_tried() {
        return;
    }
    let said = on(
        &Disk::Memory("size=16m"),
        "ulimit -n 64
         $locald pull $busybox; $locald store verify
         $locald run --command $busybox -- /bin/sh -c true
         for few in 10 11 12 13 14 15 16; do
             said=$(prlimit --nofile=$few $locald pull $busybox 2>&1) && continue
             echo \"$few: $said\" >&2
             case $said in
                 *--repair*) exit 91;;
                 *'Too many open files'*) ;;
                 *) exit 92;;
             esac
         done",
    );
    assert!(said.contains("ulimit -n"), "{said}");
}
