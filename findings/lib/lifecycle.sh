# Prepares the official lifecycle 0.21.0, crane 0.20.6, a registry (Debian's docker-registry 2.8.2) and an OCI run
# image in a temporary folder, and runs phases there. To be sourced.
# shellcheck shell=bash disable=SC2034

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
temporary=$(mktemp -d)
chmod 755 "$temporary"
registry_pid=
cleanup() {
    [ -z "$registry_pid" ] || { kill "$registry_pid" && wait "$registry_pid"; } 2>/dev/null || true
    rm -rf "$temporary"
}
trap cleanup EXIT

# Fails unless a text holds another one.
expect() { # TEXT WANTED
    grep -qF -- "$2" <<<"$1" || { printf 'this has changed: expected %q in:\n%s\n' "$2" "$1" >&2; exit 1; }
}

packages=()
for pair in docker-registry:docker-registry skopeo:skopeo umoci:umoci curl:curl; do
    command -v "${pair#*:}" >/dev/null || packages+=("${pair%:*}")
done
if [ ${#packages[@]} -gt 0 ]; then
    apt-get update -qq
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# go.mod and go.sum pin every module.
for tool in lifecycle crane; do
    mkdir "$temporary/$tool"
    cp "$here/scripts/tools/$tool"/go.{mod,sum} "$temporary/$tool/"
    (cd "$temporary/$tool" && CGO_ENABLED=0 GOFLAGS=-mod=readonly \
        go build -trimpath -ldflags '-X github.com/buildpacks/lifecycle/cmd.Version=0.21.0' -o "$temporary/bin/" tool)
done
for phase in analyzer detector restorer builder exporter; do
    ln -s lifecycle "$temporary/bin/$phase"
done
PATH=$temporary/bin:$PATH

port=${FINDINGS_PORT:-5999}
registry=localhost:$port
mkdir "$temporary/registry"
cat >"$temporary/registry.yml" <<YML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $temporary/registry}}
http: {addr: "$registry"}
YML
docker-registry serve "$temporary/registry.yml" >"$temporary/registry.log" 2>&1 &
registry_pid=$!
until curl -sf "http://$registry/v2/" >/dev/null; do kill -0 "$registry_pid"; done

# A run image with OCI's media types, as umoci makes it.
cd "$temporary" || exit
umoci init --layout run-image
umoci new --image run-image:latest
mkdir -p root/etc
echo root:x:0:0::/root:/bin/sh >root/etc/passwd
umoci insert --image run-image:latest root/etc /etc
umoci config --image run-image:latest --os linux --architecture amd64 --config.env PATH=/usr/bin:/bin
skopeo copy -q --dest-tls-verify=false oci:run-image:latest "docker://$registry/run"

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
