# The base of each comparison with pack: a registry with the builders, and a
# Docker daemon. A script sources this as root, after environment.sh.
# shellcheck shell=bash disable=SC2034,SC2154

[ "$(id -u)" = 0 ] || fail "a Docker daemon needs root"
cd "$repository" || exit
# shellcheck source=scripts/lib/suite.sh
. scripts/lib/suite.sh
crane=$(scripts/tool crane)
pack=$(scripts/tool pack)
work=$(mktemp -d)
chmod 755 "$work"
# The cleanup ends these processes, and removes these cgroups and this user.
ends=() limits=() user=
cleanup() {
    for pid in "${ends[@]}"; do { kill "$pid" && wait "$pid"; } 2>/dev/null || true; done
    stop_registry
    [ ${#limits[@]} = 0 ] || rmdir "${limits[@]}" || true
    grep -o "$work/[^ ]*" /proc/mounts | sort -r | xargs -r umount 2>/dev/null || true
    [ -z "$user" ] || userdel --remove "$user" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# Waits until a command succeeds, at most 30 seconds.
await() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; read -rt 0.1 <> <(:) || :; done; fail "waited in vain: $*"; }
# Runs a command, and shows its output only if it fails.
quiet() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
check() { [ "$1" = "$2" ] || fail "expected $2, not: $1"; }

start_registry "${LOCALD_TEST_PORT:-5017}" "$work/registry"
registry=localhost:$port

say "starting a Docker daemon"
dockerd --data-root "$work/docker" --exec-root "$work/docker-run" -p "$work/docker.pid" -H "unix://$work/docker.sock" \
    --iptables=false --ip6tables=false --bridge=none >"$work/dockerd.log" 2>&1 &
ends+=($!)
export DOCKER_HOST=unix://$work/docker.sock PACK_HOME=$work/pack PACK_VOLUME_KEY=locald LOCALD_HOME=$work/locald
await test -S "$work/docker.sock"

# Builds a folder with pack. The output of pack is in $work/log.
pack_build() { # IMAGE BUILDER FOLDER [OPTIONS]
    quiet "$pack" build "$1" --builder "$2" --path "$3" --trust-builder=true --publish --network host \
        --pull-policy if-not-present "${@:4}"
}
# Keeps the manifest and the config of an image in the registry.
keep() { # IMAGE NAME
    for part in manifest config; do "$crane" $part --insecure "$1" >"$work/$2-$part.json"; done
}
