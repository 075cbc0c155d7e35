# What one does here, by https://just.systems; each line works without it, too.

# Lists what there is.
default:
    @just --list

# Everything that continuous integration runs.
test:
    ./scripts/test

# Also what takes long: Windows under Wine, arm64, faults of machines.
test-all:
    ./scripts/test --all

# Formats, and lints for this system.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# Lints for `darwin` or `windows`.
lint-for system:
    ./scripts/cross lint {{ system }}

# Unit tests, and the direction in which modules use each other.
unit *words:
    cargo test --workspace --exclude locald-tests {{ words }}
    cargo test -p locald-tests --test architecture

# Takes changed snapshots of what people read: look at the diff.
snapshots:
    INSTA_UPDATE=always cargo test -p locald -p locald-protocol

# End-to-end tests whose names have a word in them: `just e2e shell::`.
e2e *words:
    ./scripts/e2e e2e {{ words }}

# The same as an ordinary user.
e2e-as-user *words:
    ./scripts/e2e --as-user e2e {{ words }}

# Builds of Cargo projects.
rust *words:
    ./scripts/e2e rust {{ words }}

# Kills the agent at each step that changes the store.
crash:
    ./scripts/e2e crash

# Containers alone.
container *words:
    ./scripts/e2e container {{ words }}

# Compares images with pack's.
compare:
    cargo build --release
    ./scripts/compare-with-pack target/release/locald

# Measures; `just bench rust` for a Cargo project, `vm`, `corpus`.
bench *what:
    ./scripts/bench {{ what }}

# Fuzzes each target for some minutes.
fuzz minutes *targets:
    ./scripts/fuzz {{ minutes }} {{ targets }}

# Shows the main job on this machine.
demo:
    ./scripts/demo

# Makes what users download.
release:
    ./scripts/release
