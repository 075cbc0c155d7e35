#!/usr/bin/env bash
# podman names an image of an OCI layout by the layout's folder.
#
# podman 4.3.1 `pull oci:FOLDER` of a layout whose only image has the annotation org.opencontainers.image.ref.name
# "localhost:5999/run:latest": the image is localhost/FOLDER:latest in podman's storage. The annotation's name is used
# only when it is given (oci:FOLDER:NAME), and then still as localhost/FOLDER.
set -euo pipefail
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tools.sh"
debian podman
go_tool crane
start_registry
push_oci_image

crane pull --insecure --format=oci --annotate-ref "$registry/run" folder
expect "$(cat folder/index.json)" "\"org.opencontainers.image.ref.name\": \"$registry/run:latest\""
podman() { command podman --root "$temporary/storage" --runroot "$temporary/run" --storage-driver vfs "$@"; }
podman pull -q oci:folder >/dev/null
names=$(podman images --format '{{.Repository}}:{{.Tag}}')
printf 'podman pull oci:folder: %s\n' "$names"
[ "$names" = localhost/folder:latest ]
podman rmi -a -f >/dev/null
podman pull -q "oci:folder:$registry/run:latest" >/dev/null
names=$(podman images --format '{{.Repository}}:{{.Tag}}')
printf 'podman pull oci:folder:NAME: %s\n' "$names"
[ "$names" = localhost/folder:latest ]
