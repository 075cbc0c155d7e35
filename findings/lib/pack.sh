# pack 0.40.6 with Debian's Docker daemon (20.10), and a builder of Debian's busybox and the official lifecycle 0.21.0, as
# `pack builder create` makes it. Needs root. To be sourced.
# shellcheck shell=bash disable=SC2034
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/tools.sh"

debian umoci skopeo curl docker-registry
if ! command -v dockerd >/dev/null || ! command -v busybox >/dev/null; then
    apt-get update -qq
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io busybox-static >/dev/null
fi
go_tool pack
go_tool lifecycle '-X github.com/buildpacks/lifecycle/cmd.Version=0.21.0 -s -w'
start_registry

dockerd --data-root "$temporary/docker" --exec-root "$temporary/docker-run" -p "$temporary/docker.pid" \
    -H "unix://$temporary/docker.sock" --iptables=false --ip6tables=false --bridge=none >dockerd.log 2>&1 &
docker_pid=$!
end_docker() {
    if kill "$docker_pid"; then wait "$docker_pid" || true; fi
    grep -o "$temporary/[^ ]*" /proc/mounts | sort -r | xargs -r umount || true
    cleanup
}
trap end_docker EXIT
export DOCKER_HOST=unix://$temporary/docker.sock PACK_HOME=$temporary/pack-home PACK_VOLUME_KEY=findings
until [ -S docker.sock ]; do kill -0 "$docker_pid"; done

# A root file system of busybox, as the build image and as the run image.
mkdir -p root/{bin,etc,tmp}
cp "$(command -v busybox)" root/bin/busybox
for program in sh cat env mkdir echo cp rm ls sort grep; do ln -s busybox "root/bin/$program"; done
printf 'root:x:0:0::/root:/bin/sh\ncnb:x:1001:1000::/home/cnb:/bin/sh\n' >root/etc/passwd
printf 'root:x:0:\ncnb:x:1000:\n' >root/etc/group
chmod 1777 root/tmp
umoci init --layout base
umoci new --image base:latest
for part in bin etc tmp; do umoci insert --image base:latest "root/$part" "/$part"; done
umoci config --image base:latest --os linux --architecture amd64 --config.env PATH=/bin --config.env CNB_USER_ID=1001 \
    --config.env CNB_GROUP_ID=1000 --config.env CNB_STACK_ID=test --config.label io.buildpacks.stack.id=test --config.user 1001:1000
for name in build run; do
    skopeo copy -q --dest-tls-verify=false oci:base:latest "docker://$registry/$name"
done

mkdir -p lifecycle-archive/lifecycle
cp bin/lifecycle bin/launcher lifecycle-archive/lifecycle/
for phase in analyzer builder creator detector exporter extender rebaser restorer; do
    ln -s lifecycle "lifecycle-archive/lifecycle/$phase"
done
cat >lifecycle-archive/lifecycle.toml <<'TOML'
[lifecycle]
version = "0.21.0"
[apis.buildpack]
supported = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"]
[apis.platform]
supported = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12", "0.13", "0.14", "0.15"]
TOML
tar -C lifecycle-archive -czf lifecycle.tgz lifecycle.toml lifecycle

# A builder with one buildpack, whose bin/build is a shell script: $1 is the layers directory, $2 the platform's.
make_builder() { # SCRIPT
    mkdir -p buildpack/bin
    printf 'api = "0.12"\n[buildpack]\nid = "test/hello"\nversion = "0.0.1"\n' >buildpack/buildpack.toml
    printf '#!/bin/sh\nexit 0\n' >buildpack/bin/detect
    printf '#!/bin/sh\nset -e\n%s\n' "$1" >buildpack/bin/build
    chmod +x buildpack/bin/*
    cat >builder.toml <<TOML
[[buildpacks]]
uri = "buildpack"
[[order]]
[[order.group]]
id = "test/hello"
version = "0.0.1"
[build]
image = "$registry/build"
[[run.images]]
image = "$registry/run"
[stack]
id = "test"
build-image = "$registry/build"
run-image = "$registry/run"
[lifecycle]
uri = "lifecycle.tgz"
TOML
    pack builder create "$registry/builder" --config builder.toml --publish >pack.log 2>&1 || { cat pack.log >&2; return 1; }
}

pack_build() { # FOLDER [FLAGS]
    pack build "$registry/app" --builder "$registry/builder" --path "$1" --trust-builder=true --publish \
        --network host --pull-policy if-not-present "${@:2}" 2>&1
}
