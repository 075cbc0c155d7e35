#!/usr/bin/env bash
# Over a run image of OCI's media types, the lifecycle writes layers with Docker's.
#
# lifecycle 0.21.0: the configuration of the exported image has the type of the run image (OCI), the
# layers that the lifecycle adds have application/vnd.docker.image.rootfs.diff.tar.gzip. skopeo 1.9.3 copies the mixture
# into an OCI layout as it is; umoci 0.4.7 then refuses to unpack it. One would expect one family of types in a manifest.
set -euo pipefail
# shellcheck source=findings/lib/lifecycle.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/lifecycle.sh"

buildpack 'exit 0'
prepare "$registry/run" "$registry/app" >/dev/null
export_image "$registry/app" >/dev/null
go_tool crane
types=$(crane manifest --insecure "$registry/app" | grep -o '"mediaType": *"[^"]*"' | sort | uniq -c)
skopeo copy -q --src-tls-verify=false "docker://$registry/app" oci:copy:app
status=0
unpacked=$(umoci unpack --rootless --image copy:app unpacked 2>&1) || status=$?
printf 'media types of the image:\n%s\numoci unpack: exit code %s\n%s\n' "$types" "$status" "$unpacked"
expect "$types" application/vnd.oci.image.config.v1+json
expect "$types" application/vnd.docker.image.rootfs.diff.tar.gzip
expect "$unpacked" "blob is not correct mediatype: application/vnd.docker.image.rootfs.diff.tar.gzip"
[ "$status" != 0 ]
