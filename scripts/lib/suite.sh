# What the end-to-end tests need, for all scripts that run some. To be sourced
# after environment.sh.
# shellcheck shell=bash disable=SC2154

# Prints the program of a test target, and builds it. Programs of the package are
# built with its test, and are no tests.
test_binary() { # CARGO ARGUMENTS
    cargo test --quiet --no-run --message-format=json "$@" |
        sed -n '/"kind":\["test"\]/s/.*"executable":"\([^"]*\)".*/\1/p'
}

# Puts what the tests run into $work/bin.
install_programs() { # FOLDER WITH locald AND locald-agent
    mkdir -p "$work/bin"
    cp "$1/locald" "$1/locald-agent" "$(scripts/tool crane)" "$(scripts/tool distribution)" "$work/bin/"
}
install_tests() { # TEST...
    local test package
    for test; do
        package=locald-tests
        [ "$test" != container ] || package=locald-agent
        cp "$(test_binary -p $package --test "$test")" "$work/bin/$test"
        if [ "$test" = crash ]; then
            cargo build --quiet -p locald --features crash-points
            cp target/debug/locald "$work/bin/locald-crash"
        fi
    done
}

# Starts a registry that has the builders; sets registry_pid.
start_registry() { # PORT FOLDER
    port=$1
    scripts/registry "$port" "$2" >"$work/registry.log" 2>&1 &
    registry_pid=$!
    until curl -sf "http://localhost:$port/v2/" >/dev/null; do
        kill -0 "$registry_pid" 2>/dev/null || fail "the registry: $(cat "$work/registry.log")"
    done
    scripts/builder "localhost:$port" >/dev/null
}
stop_registry() {
    [ -z "${registry_pid:-}" ] || { kill "$registry_pid" && wait "$registry_pid"; } 2>/dev/null || true
}

# Rust, and what its server has of it: for users who cannot read what is kept.
install_rust() {
    cp -r "$(scripts/rust-dist)" "$work/rust-dist"
    mkdir "$work/toolchain"
    tar -xzf "$(scripts/toolchain)" -C "$work/toolchain" --strip-components=2
}

# Makes an ordinary user without subordinate ids; sets user.
make_user() {
    user=locald-test-$$
    useradd --create-home --key SUB_UID_COUNT=0 --key SUB_GID_COUNT=0 "$user"
    grep -q "^$user:" /etc/subuid /etc/subgid && fail "$user has subordinate ids"
    return 0
}

# Runs a command where everybody may use the device for tunnels, as udev has it.
as_on_other_systems() { # COMMAND...
    [ -e "$work/tun" ] || mknod -m 666 "$work/tun" c 10 200
    # shellcheck disable=SC2016 # The inner shell's variables.
    unshare --mount sh -c 'mount --bind "$0" /dev/net/tun && exec "$@"' "$work/tun" "$@"
}

# An empty home directory for tests: what earlier tests left in it takes disk.
new_home() { # USER
    rm -rf "$work/home-$1"
    mkdir "$work/home-$1"
    chown "$1" "$work/home-$1"
}

# Further variables of the tests, NAME=VALUE.
more=()
# Runs a test with all that it needs, as the current user or another.
run_test() { # USER MODE HOME TEST [TESTS]
    local environment=(PATH="$work/bin:$work/toolchain/bin:$PATH" LOCALD_BIN="$work/bin/locald" LOCALD_AGENT_BIN="$work/bin/locald-agent"
        LOCALD_CRASH_BIN="$work/bin/locald-crash" LOCALD_TEST_REGISTRY="localhost:$port" LOCALD_TEST_MODE="$2"
        LOCALD_TEST_HOME="$3" HOME="$3" LOCALD_TEST_RUST_DIST="$work/rust-dist" INSTA_WORKSPACE_ROOT="$work" "${more[@]}")
    if [ "$1" = "$(id -un)" ]; then
        (cd "$3" && env -u LOCALD_AGENT -u LOCALD_MACHINE "${environment[@]}" "$work/bin/$4" "${@:5}")
    else
        (cd "$3" && as_on_other_systems setpriv --reuid "$1" --regid "$(id -g "$1")" --clear-groups --no-new-privs \
            env -i "${environment[@]}" "$work/bin/$4" "${@:5}")
    fi
}
