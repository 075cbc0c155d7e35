# What benchmarks beside pack stand on: a registry with the builders, a Docker
# daemon for pack, an ordinary user for locald, and a stopwatch. To be sourced,
# in the repository, by a script that runs as root.
# shellcheck shell=bash disable=SC2034,SC2154

[ "$(id -u)" = 0 ] || fail "a Docker daemon needs root"
scripts/prerequisites demo
scripts/prerequisites bench
cargo build --quiet --release -p locald
pack=$(scripts/tool pack)
work=$(mktemp -d)
chmod 755 "$work"
user=locald-bench-$$
cleanup() {
    for pid in "${dockerd:-}" "${registry_pid:-}"; do
        [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
    done
    grep -o "$work/[^ ]*" /proc/mounts | sort -r | xargs -r umount 2>/dev/null || true
    userdel --remove "$user" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
await() { until "$@" >/dev/null 2>&1; do read -rt 0.1 <> <(:) || :; done; }

port=${LOCALD_BENCH_PORT:-5018}
registry=localhost:$port
scripts/registry "$port" "$work/registry" >"$work/registry.log" 2>&1 &
registry_pid=$!
await curl -sf "http://$registry/v2/"
scripts/builder "$registry" >/dev/null
dockerd --data-root "$work/docker" --exec-root "$work/docker-run" -p "$work/docker.pid" -H "unix://$work/docker.sock" \
    --iptables=false --ip6tables=false --bridge=none >"$work/dockerd.log" 2>&1 &
dockerd=$!
export DOCKER_HOST=unix://$work/docker.sock PACK_HOME=$work/pack PACK_VOLUME_KEY=locald
await test -S "$work/docker.sock"
useradd --create-home --key SUB_UID_COUNT=0 --key SUB_GID_COUNT=0 "$user"
mkdir "$work/bin" "$work/home" "$work/apps"
cp target/release/locald "$work/bin/"
chown "$user" "$work/home" "$work/apps"
as_user() { setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups env -i \
    PATH="$PATH" HOME="$work/home" LOCALD_HOME="$work/home/locald" "$@"; }

# Microseconds of a command, appended to a file.
timed() { # FILE COMMAND...
    local file=$work/$1 start end
    shift
    start=$(date +%s%N)
    quiet "$@"
    end=$(date +%s%N)
    echo $(((end - start) / 1000)) >>"$file"
}
# Runs a command, whose output is shown only when it fails.
quiet() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
