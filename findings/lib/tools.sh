# Helpers of the findings: a temporary folder, Debian packages, programs from Go modules, a registry, an OCI image. To be
# sourced.
# shellcheck shell=bash disable=SC2034

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
temporary=$(mktemp -d)
chmod 755 "$temporary"
PATH=$temporary/bin:$PATH:/usr/sbin:/usr/local/go/bin
cd "$temporary" || exit
registry_pid=
cleanup() {
    [ -z "$registry_pid" ] || { kill "$registry_pid" && wait "$registry_pid"; } 2>/dev/null || true
    cd /
    rm -rf "$temporary"
}
trap cleanup EXIT

# Fails unless a text holds another one.
expect() { # TEXT WANTED
    grep -qF -- "$2" <<<"$1" || { printf 'this has changed: expected %q in:\n%s\n' "$2" "$1" >&2; exit 1; }
}

debian() { # PACKAGES, each with a program of the same name
    local package missing=()
    for package in "$@"; do command -v "$package" >/dev/null || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    apt-get update -qq
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Builds the programs of a Go module; scripts/tools/NAME pins it and all that it needs.
go_tool() { # NAME [LINKER FLAGS]
    mkdir "$temporary/$1"
    cp "$repository/scripts/tools/$1"/go.{mod,sum} "$temporary/$1/"
    (cd "$temporary/$1" && CGO_ENABLED=0 GOFLAGS=-mod=readonly \
        go build -trimpath -ldflags "${2:-}" -o "$temporary/bin/" tool)
}

# Debian's docker-registry 2.8.2 at $registry.
start_registry() {
    debian docker-registry curl
    registry=localhost:${FINDINGS_PORT:-5999}
    mkdir registry
    cat >registry.yml <<YML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $temporary/registry}}
http: {addr: "$registry"}
YML
    docker-registry serve registry.yml >registry.log 2>&1 &
    registry_pid=$!
    until curl -sf "http://$registry/v2/" >/dev/null; do kill -0 "$registry_pid"; done
}

# An image of one layer with OCI's media types, as umoci makes it, in the layout run-image and in the registry.
push_oci_image() {
    debian umoci skopeo
    umoci init --layout run-image
    umoci new --image run-image:latest
    mkdir -p root/etc
    echo root:x:0:0::/root:/bin/sh >root/etc/passwd
    umoci insert --image run-image:latest root/etc /etc
    umoci config --image run-image:latest --os linux --architecture amd64 --config.env PATH=/usr/bin:/bin
    skopeo copy -q --dest-tls-verify=false oci:run-image:latest "docker://$registry/run"
}
