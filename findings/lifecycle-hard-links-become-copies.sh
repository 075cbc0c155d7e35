#!/usr/bin/env bash
# Hard links of a layer become copies in the image and after a restore.
#
# lifecycle 0.21.0: a file of 3 MB with two names in a buildpack's layer is written twice into the layer's tar, as two
# regular files, although tar has an entry for links. The image is larger by each name (a store as pnpm's, git's
# objects), and so is the directory that the restorer makes from the cache: both names have a link count of 1.
set -euo pipefail
# shellcheck source=findings/lib/lifecycle.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/lifecycle.sh"

# shellcheck disable=SC2016 # The buildpack's variables.
buildpack 'mkdir -p "$1/data"
[ -e "$1/data/first" ] || { head -c 3000000 /dev/urandom >"$1/data/first"; ln "$1/data/first" "$1/data/second"; }
printf "[types]\nlaunch = true\ncache = true\n" >"$1/data.toml"'

prepare "$registry/run" "$registry/app" >/dev/null
before=$(stat -c %h layers/test_hello/data/first)
export_image "$registry/app" >/dev/null
listing=$(for tar in cache/committed/*.tar; do tar -tvf "$tar" 2>/dev/null; done | grep -E 'first|second')

fresh_layers "$registry/run"
phase analyzer -run run.toml "$registry/app" >/dev/null
phase detector -app app -buildpacks buildpacks -order order.toml -platform platform >/dev/null
phase restorer -cache-dir cache >/dev/null
after=$(stat -c %h layers/test_hello/data/first)
printf 'names of the file in the layer: %s\nentries of the tar:\n%s\nnames after a restore: %s\n' "$before" "$listing" "$after"
expect "$before" 2
expect "$after" 1
[ "$(grep -c '^-.* 3000000 ' <<<"$listing")" = 2 ] || { echo "this has changed: not two regular files" >&2; exit 1; }
