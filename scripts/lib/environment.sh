# Paths that all scripts share. To be sourced.
# shellcheck shell=bash disable=SC2034

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# What takes long to make is kept here, outside the repository.
cache=${LOCALD_DEV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/locald-dev}
tools=$cache/bin
export SOURCE_DATE_EPOCH=1700000000
mkdir -p "$tools"
PATH=$tools:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/local/go/bin:$PATH:/usr/sbin:/sbin

say() { printf '=== %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs a command as root, by sudo where needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
        fail "this needs root: $*"
    fi
}
