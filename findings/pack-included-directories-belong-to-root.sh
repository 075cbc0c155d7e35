#!/usr/bin/env bash
# With include or exclude in project.toml, pack makes directories that buildpacks cannot write to.
#
# pack 0.40.6: with `include = ["lib/"]` the folder lib arrives in /workspace as root's, mode 0755, and its files as the
# builder's user's: pack leaves the entry of the directory out, and Docker 20.10 makes the parent of a file as root. The
# same happens to the folder of a file that `exclude = ["lib", "!lib/keep.jar"]` brings back. Without a descriptor lib
# belongs to the builder's user, and a buildpack may write there.
set -euo pipefail
# shellcheck source=findings/lib/pack.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/pack.sh"

# shellcheck disable=SC2016 # The buildpack's command.
make_builder 'echo "owner: $(ls -ld lib | cut -c1-34)"
if echo x 2>/dev/null >lib/new; then echo "lib: writable"; else echo "lib: read-only"; fi'
mkdir -p app/lib
touch app/lib/keep.jar app/lib/other.jar
build() { # PROJECT.TOML OR NOTHING
    rm -f app/project.toml
    [ -z "$1" ] || printf '[_]\nschema-version = "0.2"\n[io.buildpacks]\n%s\n' "$1" >app/project.toml
    output=$(pack_build app) || { printf '%s\n' "$output" >&2; exit 1; }
    printf '%s:\n' "${1:-no descriptor}"
    grep -E '(owner|lib):' <<<"$output"
    expect "$output" "$2"
}
build '' "lib: writable"
build 'include = ["lib/"]' "lib: read-only"
build 'exclude = ["lib", "!lib/keep.jar"]' "lib: read-only"
