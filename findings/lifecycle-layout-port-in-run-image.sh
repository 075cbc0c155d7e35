#!/usr/bin/env bash
# Export to an OCI layout fails only at its end when the run image's name has a port.
#
# lifecycle 0.21.0 with -layout (experimental): analyze, detect, restore and build accept the run image
# localhost:5000/run, whose layout is in LAYOUT-DIR/localhost:5000/run/latest. The exporter then cannot parse the
# reference that the analyzer wrote, and ends with 3. A port in the name of the application's image is no problem.
set -euo pipefail
# shellcheck source=findings/lib/lifecycle.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/lifecycle.sh"

buildpack 'exit 0'
layout=(-layout -layout-dir images)
for name in index.docker.io/library/run localhost:5000/run; do
    mkdir -p "images/$name"
    cp -r run-image "images/$name/latest"
done
chown -R 1001:1001 images

prepare run localhost:5000/app "${layout[@]}" >/dev/null
export_image localhost:5000/app "${layout[@]}" >/dev/null
printf 'run image without a port, image with one: exit code 0\n'

prepare localhost:5000/run app "${layout[@]}" >/dev/null
status=0
output=$(export_image app "${layout[@]}") || status=$?
printf 'run image with a port: exit code %s\n%s\n' "$status" "$output"
expect "$status" 3
expect "$output" "could not parse reference: images/localhost:5000/run/latest@sha256"
