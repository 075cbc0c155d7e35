# The official lifecycle 0.21.0 and its phases, as plain processes of another user. To be sourced.
# shellcheck shell=bash disable=SC2034
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/tools.sh"

go_tool lifecycle '-X github.com/buildpacks/lifecycle/cmd.Version=0.21.0'
for phase in analyzer detector restorer builder exporter; do
    ln -s lifecycle "$temporary/bin/$phase"
done
start_registry
push_oci_image

# An application, and a buildpack whose bin/build is the rest of a shell script: $1 is the layers directory.
buildpack() { # SCRIPT
    local bin=buildpacks/test_hello/0.0.1/bin
    mkdir -p "$bin" app platform
    echo hello >app/index.txt
    printf 'api = "0.10"\n[buildpack]\nid = "test/hello"\nversion = "0.0.1"\n' >"$bin/../buildpack.toml"
    printf '[[order]]\n[[order.group]]\nid = "test/hello"\nversion = "0.0.1"\n' >order.toml
    printf '#!/bin/sh\nexit 0\n' >"$bin/detect"
    printf '#!/bin/sh\nset -e\n%s\n' "$1" >"$bin/build"
    chmod +x "$bin"/*
    chown -R 1001:1001 app
}

phase() { # PHASE ARGUMENTS
    setpriv --reuid 1001 --regid 1001 --clear-groups env HOME=/tmp CNB_USER_ID=1001 CNB_GROUP_ID=1001 \
        CNB_PLATFORM_API=0.12 CNB_EXPERIMENTAL_MODE=quiet "$1" -no-color -layers layers "${@:2}" 2>&1
}

fresh_layers() { # RUN-IMAGE
    rm -rf layers
    mkdir -p layers cache
    chown 1001:1001 layers cache
    printf '[[images]]\nimage = "%s"\n' "$1" >run.toml
}

# From analyze to build.
prepare() { # RUN-IMAGE IMAGE [FLAGS OF ANALYZE]
    fresh_layers "$1"
    phase analyzer -run run.toml "${@:3}" "$2"
    phase detector -app app -buildpacks buildpacks -order order.toml -platform platform
    phase restorer -cache-dir cache
    phase builder -app app -buildpacks buildpacks -platform platform
}
export_image() { # IMAGE [FLAGS]
    phase exporter -app app -launcher bin/launcher -cache-dir cache -run run.toml "${@:2}" "$1"
}
