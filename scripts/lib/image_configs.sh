# Starts images that differ only in their config, with docker, with locald and
# with locald without root: a process finds the same. scripts/compare-with-pack
# sources this after frameworks.sh.
# shellcheck shell=bash disable=SC2154

say "images with other users, folders and environments"
# shellcheck disable=SC2016 # The inner shell's variables.
probe='echo "ids $(id -u):$(id -g) $(id -G)"
echo "folder $(pwd) $(stat -c %a:%u:%g .)"
echo "limits $(umask) $(ulimit -n) $(ulimit -c) $(ulimit -s)"
echo "devices $(ls /dev | xargs)"
echo "files $(cat /etc/hostname) $(grep -c . /etc/hosts) $(grep -c . /etc/resolv.conf)"
env | grep -v ^_= | sort'
without_owners() { sed 's/^\(folder .*:\).*:.*/\1/'; }
config() { # NAME ARGUMENTS OF crane mutate
    local image=$registry/config/$1 docker says who
    quiet "$crane" mutate --insecure "$registry/demo/run" -t "$image" "${@:2}"
    quiet docker pull "$image"
    docker=$(docker run --rm --hostname locald --network host --entrypoint sh "$image" -c "$probe" 2>&1) ||
        fail "docker: $docker"
    for who in with_root without_root; do
        quiet "$who" locald pull "$image"
        says=$("$who" locald run --command "$image" -- sh -c "$probe" 2>&1) || fail "$1, $who: $says"
        # Without root there is one id, to which each file belongs.
        if [ "$who" = without_root ]; then
            docker=$(without_owners <<<"$docker") says=$(without_owners <<<"$says")
        fi
        check "$1, $who: $says" "$1, $who: $docker"
    done
}
config plain
config root --user root
config name-and-group --user cnb:cdrom
config unknown-id --user 4321
config unknown-ids --user 4321:8765
config nobody --user nobody:nogroup
config home --env HOME=/srv/home --env EMPTY= --env "SPACE=a b"
config folder --workdir /srv/not/there
config entrypoint --entrypoint env,VIA=entrypoint --cmd sh,-c,true
config odd-environment --env HOSTNAME=given --env TERM=vt52 --env PWD=/x
