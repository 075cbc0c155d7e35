#!/usr/bin/env bash
# umoci cannot name an image of the OCI layout that crane makes.
#
# crane 0.20.6 `pull --format=oci` writes the image without the annotation org.opencontainers.image.ref.name. umoci 0.4.7
# knows images by this annotation alone: `umoci ls` prints nothing and ends with 0, and no name unpacks the image. skopeo
# 1.9.3 takes the only image of a layout without a name. With `--annotate-ref` crane writes the whole reference
# (localhost:5999/run:latest) as the name, which umoci then wants whole.
set -euo pipefail
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tools.sh"
go_tool crane
start_registry
push_oci_image

crane pull --insecure --format=oci "$registry/run" plain
listed=$(umoci ls --layout plain)
status=0
refused=$(umoci unpack --rootless --image plain:latest unpacked 2>&1) || status=$?
skopeo inspect oci:plain >/dev/null
crane pull --insecure --format=oci --annotate-ref "$registry/run" annotated
named=$(umoci ls --layout annotated)
printf 'umoci ls: %q\numoci unpack: exit code %s, %s\numoci ls, with --annotate-ref: %s\n' "$listed" "$status" "$refused" "$named"
[ -z "$listed" ] && [ "$status" != 0 ] && [ "$named" = "$registry/run:latest" ]
expect "$refused" "tag is not found"
umoci unpack --rootless --image "annotated:$registry/run:latest" unpacked
