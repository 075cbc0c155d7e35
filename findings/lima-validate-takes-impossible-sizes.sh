#!/usr/bin/env bash
# limactl validate takes a machine with -1 processors and 4 bytes of memory.
#
# limactl 2.2.0 checks much of a template (ports, mounts, digests, architectures), but neither `cpus` nor the amount of
# `memory`: -1 processors and "4", which means 4 bytes, are "OK" with exit code 0. So a program that writes templates
# must check them itself; "memory: 4" for 4 GiB is found out only when the machine starts.
set -euo pipefail
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tools.sh"
go_tool limactl '-X github.com/lima-vm/lima/v2/pkg/version.Version=2.2.0'

# limactl refuses root.
validate() { # NAME LINE
    printf 'images: [{location: /none.img, arch: x86_64}]\n%s\n' "$2" >"$1.yaml"
    setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$temporary/home" LIMA_HOME="$temporary/home/lima" \
        limactl --tty=false validate "$1.yaml" 2>&1
}
mkdir -m 777 home
for line in "cpus: -1" "memory: 4" "memory: 1KiB"; do
    output=$(validate size "$line")
    printf '%s: exit code 0, %s\n' "$line" "$output"
    expect "$output" OK
done
status=0
output=$(validate size "ssh: {localPort: 99999}") || status=$?
printf 'a port of 99999: exit code %s, %s\n' "$status" "$output"
[ "$status" = 1 ]
