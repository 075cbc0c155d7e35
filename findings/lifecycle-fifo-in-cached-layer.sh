#!/usr/bin/env bash
# A pipe in a cached layer is exported, and then no build can restore the cache.
#
# lifecycle 0.21.0: the exporter writes a named pipe of a buildpack's layer into the image and into the cache, and
# exits with 0. In the next build the restorer finds the pipe in the cache's tar, and ends with exit code 42,
# "unknown file type in tar 54" (54 is '6', tar's type of a pipe). So each later build fails until the cache is
# cleared. One would expect that what the exporter caches the restorer reads, or that the exporter refuses or skips the
# pipe, as it skips a socket.
set -euo pipefail
# shellcheck source=findings/lib/lifecycle.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/lifecycle.sh"

# shellcheck disable=SC2016 # The buildpack's variables.
buildpack 'mkdir -p "$1/data"
mkfifo "$1/data/pipe"
printf "[types]\nlaunch = true\ncache = true\n" >"$1/data.toml"'

prepare "$registry/run" "$registry/app" >/dev/null
export_image "$registry/app" >first.log || { echo "this has changed: the export fails: $(cat first.log)" >&2; exit 1; }
expect "$(cat first.log)" "Adding cache layer 'test/hello:data'"

fresh_layers "$registry/run"
phase analyzer -run run.toml "$registry/app" >/dev/null
phase detector -app app -buildpacks buildpacks -order order.toml -platform platform >/dev/null
status=0
second=$(phase restorer -cache-dir cache) || status=$?
printf 'export of a cached layer with a pipe: exit code 0\nrestore in the next build: exit code %s\n%s\n' "$status" "$second"
expect "$status" 42
expect "$second" "unknown file type in tar 54"
