//! What a program finds around it, as Docker and runc have it.

use agent::container::Network;

use crate::stage::Stage;

pub(crate) const TESTS: &[crate::Test] = &[
    ("surroundings::host_name", |stage| {
        Box::pin(host_name(stage))
    }),
    ("surroundings::cgroup", |stage| Box::pin(cgroup(stage))),
];

async fn host_name(stage: &Stage) {
    for (said, expected) in [(None, "stage"), (Some("other"), "other")] {
        let mut spec = stage.shell("echo $HOSTNAME");
        let said = said.map(|name| ("HOSTNAME".to_owned(), name.to_owned()));
        spec.env.extend(said);
        assert_eq!(stage.run(spec).await.stdout.trim_end(), expected);
    }
}

/// In each network: `/sys` is another mount there.
async fn cgroup(stage: &Stage) {
    let script = "cd /sys/fs/cgroup || exit; \
        cat memory.max cpu.max 2>/dev/null || \
        cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us || exit; \
        find . ! -type d -exec sh -c ': 2>/dev/null >>\"$1\"' '' {} ';' -print -quit; \
        mkdir new 2>/dev/null && echo writable; \
        grep -c ' /sys/fs/cgroup ' /proc/mounts";
    for network in [Network::Host, Network::None] {
        let mut spec = stage.shell(script);
        spec.network = network;
        let ended = stage.run(spec).await;
        let lines: Vec<&str> = ended.stdout.lines().collect();
        let [limits @ .., mounts] = &*lines else {
            panic!("{ended:?}");
        };
        assert!(mounts.parse::<u8>().unwrap() >= 1, "{ended:?}");
        assert!((2..=3).contains(&limits.len()), "{ended:?}");
        let is_limit = |text: &&str| *text == "max" || text.parse::<i64>().is_ok();
        let words = limits.iter().flat_map(|line| line.split(' '));
        assert!(
            words.clone().count() == 3 && words.clone().all(|it| is_limit(&it)),
            "{ended:?}"
        );
    }
}
