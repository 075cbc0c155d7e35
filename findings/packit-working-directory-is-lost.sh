#!/usr/bin/env bash
# A process of a packit buildpack starts in the application's folder, whatever WorkingDirectory says.
#
# packit 2.25.7 writes the key `working-directory` into launch.toml. The Buildpack API calls it `working-dir`, and the
# lifecycle ignores keys that it does not know: it reports nothing, and the image has no working directory for the process.
set -euo pipefail
# shellcheck source=findings/lib/lifecycle.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/lifecycle.sh"

buildpack true
mkdir packit
cp "$repository/tests/buildpacks/packit"/go.{mod,sum} packit/
cat >packit/main.go <<'GO'
package main

import "github.com/paketo-buildpacks/packit/v2"

func main() {
	packit.Build(func(packit.BuildContext) (packit.BuildResult, error) {
		return packit.BuildResult{Launch: packit.LaunchMetadata{DirectProcesses: []packit.DirectProcess{
			{Type: "web", Command: []string{"pwd"}, WorkingDirectory: "/tmp"},
		}}}, nil
	})
}
GO
rm buildpacks/test_hello/0.0.1/bin/build
(cd packit && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -o ../buildpacks/test_hello/0.0.1/bin/build .)
prepare "$registry/run" "$registry/app" >log || { cat log >&2; exit 1; }
launch=$(cat layers/test_hello/launch.toml)
metadata=$(cat layers/config/metadata.toml)
printf 'launch.toml of the buildpack:\n%s\n\nwhat the lifecycle keeps:\n%s\n' "$launch" "$metadata"
expect "$launch" 'working-directory = "/tmp"'
if grep -F working-dir <<<"$metadata"; then
    echo "this has changed: the lifecycle keeps the directory" >&2
    exit 1
fi
