#!/usr/bin/env bash
# A comment in pack's --env-file becomes a variable.
#
# pack 0.40.6: a line "# comment" of an env file is a variable with the name "# comment" and an empty value, which
# buildpacks find as a file of <platform>/env. docker's env files, and dotenv, skip such lines. Likewise "export F=1" is a
# variable "export F".
set -euo pipefail
# shellcheck source=findings/lib/pack.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/pack.sh"

# shellcheck disable=SC2016 # The buildpack's variables.
make_builder 'for file in "$2"/env/*; do echo "variable: $file=[$(cat "$file")]"; done'
mkdir app
printf '# comment\nA=1\nexport F=1\n' >variables
output=$(pack_build app --env-file variables) || { printf '%s\n' "$output" >&2; exit 1; }
grep variable: <<<"$output"
expect "$output" "/env/# comment=[]"
expect "$output" "/env/export F=[1]"
expect "$output" "/env/A=[1]"
