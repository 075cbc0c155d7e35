#!/usr/bin/env bash
# pack hands a variable for tests to a production build.
#
# pack 0.40.6 reads `exec-env` of an entry of [[io.buildpacks.build.env]] (project descriptor 0.3: the variable is for
# builds of that environment only), and does not filter by it: a variable with exec-env = ["test"] is set in a build
# without --exec-env, whose environment is "production".
set -euo pipefail
# shellcheck source=findings/lib/pack.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/pack.sh"

# shellcheck disable=SC2016 # The buildpack's variables.
make_builder 'echo "exec-env: ${CNB_EXEC_ENV:-none}"
for file in "$2"/env/*; do echo "variable: $file=$(cat "$file")"; done'
mkdir app
cat >app/project.toml <<'TOML'
[_]
schema-version = "0.3"
[[io.buildpacks.build.env]]
name = "ONLY_FOR_TESTS"
value = "yes"
exec-env = ["test"]
TOML
output=$(pack_build app) || { printf '%s\n' "$output" >&2; exit 1; }
grep -E 'exec-env:|variable:' <<<"$output"
expect "$output" "ONLY_FOR_TESTS=yes"
