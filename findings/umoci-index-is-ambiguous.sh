#!/usr/bin/env bash
# For umoci, a name of an index is ambiguous, also where one platform fits.
#
# umoci 0.4.7 in a layout with an image index of two platforms under one name: stat, unpack and tag end with 1, "tag is
# ambiguous", though the layout has this name once. umoci does not choose by platform, and cannot give the index a
# second name. skopeo 1.9.3 and podman choose this machine's platform.
set -euo pipefail
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tools.sh"
go_tool crane
start_registry
push_oci_image

crane mutate --insecure --set-platform linux/arm64 "$registry/run" -t "$registry/arm64" >/dev/null 2>&1
crane index append --insecure -m "$registry/run" -m "$registry/arm64" -t "$registry/index" 2>/dev/null
skopeo copy -q --all --src-tls-verify=false "docker://$registry/index" oci:layout:both
names=$(grep -o '"org.opencontainers.image.ref.name":"[^"]*"' layout/index.json)
[ "$(wc -l <<<"$names")" = 1 ]
skopeo inspect oci:layout:both >/dev/null
for command in "stat --image layout:both" "unpack --rootless --image layout:both unpacked" "tag --image layout:both again"; do
    status=0
    # shellcheck disable=SC2086 # Several arguments.
    output=$(umoci $command 2>&1) || status=$?
    printf 'umoci %s: exit code %s, %s\n' "$command" "$status" "$output"
    expect "$output" "tag is ambiguous: both"
    [ "$status" = 1 ]
done
