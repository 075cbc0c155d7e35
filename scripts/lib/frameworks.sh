# Builds with the buildpacks of tests/buildpacks, with pack and, as an ordinary
# user, with locald. Compares the images, and what their processes find when
# docker and locald start them. scripts/compare-with-pack sources this.
# shellcheck shell=bash disable=SC2154

say "buildpacks on packit, libcnb and libcnb.rs"
frameworks=$work/frameworks
"scripts/framework-buildpacks" "$frameworks" >/dev/null
tar --create --file "$work/frameworks.tar" --directory "$frameworks/layer" --owner=0 --group=0 \
    cnb/order.toml cnb/buildpacks
quiet "$crane" append --insecure -b "$registry/demo/builder" -f "$work/frameworks.tar" -t "$registry/demo/frameworks"
app=$work/framework-app
cp -r "tests/buildpacks/app" "$app"
make_user
install -d -m 755 "$work/bin"
install -m 755 "$locald" "$work/bin/locald"
install -d -o "$user" "$work/home"

# A server whose certificate authority only this machine trusts, as with a
# company's proxy.
authority=$work/authorities/authority.pem mirror_port=$((port + 1000))
mirror=https://localhost:$mirror_port
install -d -m 755 "$work/authorities"
quiet openssl req -x509 -newkey rsa:2048 -nodes -subj /O=Acme/CN=Proxy -days 2 -addext subjectAltName=DNS:localhost \
    -keyout "$work/key.pem" -out "$authority"
(cd "$frameworks/served" && exec openssl s_server -quiet -WWW -key "$work/key.pem" -cert "$authority" \
    -accept "$mirror_port" </dev/null >"$work/server.log" 2>&1) &
ends+=($!)
await curl -sf --cacert "$authority" "$mirror/greeting.txt"

# locald takes the authority from the machine, pack from options.
without_root() { setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --no-new-privs env -i PATH="$PATH" HOME="$work/home" \
    LOCALD_HOME="$work/home/locald" SSL_CERT_FILE="$authority" NO_PROXY=localhost "$@"; }
with_authority=(--volume "$work/authorities:/authorities:ro" --env NO_PROXY=localhost)
for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS; do
    with_authority+=(--env "$name=/authorities/authority.pem")
done

for round in frameworks frameworks-changed; do
    say "pack: $round"
    pack_build "$registry/framework-app" "$registry/demo/frameworks" "$app" --env "BP_DEPENDENCY_MIRROR=$mirror" "${with_authority[@]}"
    keep "$registry/framework-app" "pack-$round"
    say "locald, as an ordinary user: $round"
    quiet without_root "$work/bin/locald" build "$app" -t "$registry/framework-app" --builder "$registry/demo/frameworks" \
        --env "BP_DEPENDENCY_MIRROR=$mirror"
    quiet without_root "$work/bin/locald" push "$registry/framework-app" "$registry/framework-ours"
    keep "$registry/framework-ours" "locald-$round"
    printf '# changed\n' >>"$app/show.sh"
done
python3 "scripts/lib/compare_images.py" "$work" frameworks frameworks-changed


say "the image, started by docker, by locald, and by locald without root"
quiet docker pull "$registry/framework-app"
quiet "$locald" pull "$registry/framework-ours"
quiet "$locald" image tag "$registry/framework-ours" "$registry/framework-app"
# Starts a process with docker, with locald, and with locald without root, and
# prints its output, which must be the same. Takes options from docker_options
# and locald_options.
alike() { # PROCESS [ARGUMENTS]
    local who
    local -A said
    said[docker]=$(docker run --rm --hostname locald --network host "${docker_options[@]}" --entrypoint "$1" \
        "$registry/framework-app" "${@:2}" 2>&1) || fail "docker: ${said[docker]}"
    for who in with_root without_root; do
        said[$who]=$($who locald run "${locald_options[@]}" "$registry/framework-app" "$1" -- "${@:2}" 2>&1) ||
            fail "locald $who: ${said[$who]}"
        check "${said[$who]}" "${said[docker]}"
    done
    printf '%s\n' "${said[docker]}"
}
with_root() { env SSL_CERT_FILE="$authority" NO_PROXY=localhost "$@"; }
PATH=$work/bin:$PATH

docker_options=() locald_options=()
for process in show by-shell elsewhere; do alike $process; done
docker_options=("${with_authority[@]}") locald_options=(--proxy)
alike fetch "$mirror/greeting.txt"

say "the same within limits"
limit() { # CONTROLLER FILE VALUE
    local group=/sys/fs/cgroup/$1/locald-test-$$
    [ ! -e /sys/fs/cgroup/cgroup.controllers ] || group=/sys/fs/cgroup/locald-test-$$
    [ -d "$group" ] || { mkdir "$group" && limits+=("$group"); }
    echo "$3" >"$group/$2"
}
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    limit memory memory.max $((300 << 20))
    limit cpu cpu.max '150000 100000'
else
    limit memory memory.limit_in_bytes $((300 << 20))
    limit cpu cpu.cfs_quota_us 150000
fi
docker_options=(--memory 300m --cpus 1.5) locald_options=()
limited=$(
    for group in "${limits[@]}"; do echo 0 >"$group/cgroup.procs"; done
    alike show
)
check "$(grep ^limits: <<<"$limited")" "limits: memory $((300 << 20)), processors 1500"

say "a shell"
# shellcheck disable=SC2016 # The inner shell's variables.
check "$(without_root locald shell "$app" -- sh -c 'echo "$MEMORY_LIMIT $PROFILED"; node --use-openssl-ca fetch.js "$0"' "$mirror/greeting.txt" 2>/dev/null)" \
    "max 
$(cat "$frameworks/served/greeting.txt")"
