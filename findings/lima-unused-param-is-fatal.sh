#!/usr/bin/env bash
# lima refuses a parameter that nothing uses, and takes a key that it does not know.
#
# limactl 2.2.0: `param: {project: /x}` in a template whose scripts do not mention it ends with 1 ("is not used in any
# provision, probe, copyToHost, or portForward"). A misspelt key (`memroy`) is a warning, and the template is "OK". One
# would expect the reverse, or one answer for both. The message does not list `mounts`, but a use there counts.
set -euo pipefail
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tools.sh"
go_tool limactl '-X github.com/lima-vm/lima/v2/pkg/version.Version=2.2.0'

mkdir -m 777 home
validate() { # LINES
    printf 'images: [{location: /none.img, arch: x86_64}]\n%s\n' "$1" >template.yaml
    setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$temporary/home" LIMA_HOME="$temporary/home/lima" \
        limactl --tty=false validate template.yaml 2>&1
}
unknown=$(validate 'memroy: 1GiB')
printf 'an unknown key: exit code 0\n%s\n' "$unknown"
expect "$unknown" OK
expect "$unknown" 'unknown field'
status=0
unused=$(validate 'param: {project: /x}') || status=$?
printf 'a parameter without a use: exit code %s\n%s\n' "$status" "$unused"
expect "$unused" 'is not used in any'
[ "$status" = 1 ]
used=$(validate $'param: {project: /x}\nmounts: [{location: "{{.Param.project}}"}]')
printf 'used in mounts: exit code 0\n%s\n' "$used"
expect "$used" OK
