#!/usr/bin/env bash
# Builds the example modules, and holds the one that is kept in the repository against its sources.
#
#   build.sh [FOLDER]     all of them, into FOLDER (default: target/modules); what a toolchain is missing for is told, and the
#                         exit code is then 1
#   build.sh --rust [FOLDER]   only those in Rust
#   build.sh --keep       builds prebuilt/clicks.wasm anew, with its copy for docker/compose.yaml, and notes what it was built from
#   build.sh --check      builds it, too, and compares: byte for byte where the compiler is the one it was built with
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly TARGET=wasm32-unknown-unknown
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

# Where the compiler runs and where its crates lie must not show in the module: panics name their source file.
home=${CARGO_HOME:-$HOME/.cargo}
export RUSTFLAGS="--remap-path-prefix=$PWD=guest --remap-path-prefix=$home/registry/src=crates"

has_rust() {
    if ! command -v cargo >/dev/null; then
        echo "build.sh: cargo is missing, for the modules in Rust: https://rustup.rs" >&2
        return 1
    fi
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$TARGET" ]; then
        echo "build.sh: Rust's target $TARGET is missing: rustup target add $TARGET" >&2
        return 1
    fi
}

# rust PROFILE MODULE FOLDER; what is to be fast may use the vectors that every runtime of modules has.
rust() {
    local flags=$RUSTFLAGS
    if [ "$1" = fast ]; then flags+=" -C target-feature=+simd128"; fi
    RUSTFLAGS=$flags cargo build --quiet --locked --profile "$1" --target "$TARGET" -p "$2"
    cp "$CARGO_TARGET_DIR/$TARGET/$1/$2.wasm" "$3/$2.wasm"
}

has_go() {
    if ! command -v go >/dev/null; then
        echo "build.sh: go is missing, for the module csv: https://go.dev/dl (1.24 or newer)" >&2
        return 1
    fi
    if ! go version | grep -qE 'go1\.(2[4-9]|[3-9][0-9])'; then
        echo "build.sh: $(go version) cannot export functions from modules; 1.24 can" >&2
        return 1
    fi
}

# go_module FOLDER
go_module() {
    (cd examples/csv && GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags='-s -w' -buildmode=c-shared -o "$1/csv.wasm" .)
}

# What prebuilt/clicks.wasm is made from: the files, one a line with its hash.
sources() {
    find src examples/clicks -type f | sort | sed '1i Cargo.toml\nCargo.lock' | xargs sha256sum
}

all() {
    local folder missing=0
    mkdir -p "$1"
    folder=$(cd "$1" && pwd)
    if has_rust; then
        rust release apache "$folder"
        rust release clicks "$folder"
        rust fast edit "$folder"
    else
        missing=1
    fi
    if [ "$2" = every ]; then
        if has_go; then go_module "$folder"; else missing=1; fi
    fi
    ls -l "$folder"/*.wasm
    return $missing
}

keep() {
    has_rust
    rust release clicks prebuilt
    chmod 644 prebuilt/clicks.wasm
    cp -p prebuilt/clicks.wasm ../../docker/modules/clicks.wasm
    { rustc --version | sed 's/^/# built by /' && sources; } >prebuilt/clicks.sources
    wc -c prebuilt/clicks.wasm
}

check() {
    has_rust
    local fresh
    fresh=$(mktemp -d)
    # Expanded now: where the trap runs, the variable is gone.
    # shellcheck disable=SC2064
    trap "rm -rf '$fresh'" EXIT
    if ! diff <(sources) <(grep -v '^#' prebuilt/clicks.sources); then
        echo "build.sh: prebuilt/clicks.wasm is older than its sources: run build.sh --keep" >&2
        exit 1
    fi
    rust release clicks "$fresh"
    if cmp "$fresh/clicks.wasm" prebuilt/clicks.wasm; then
        echo "prebuilt/clicks.wasm is what its sources make"
    elif [ "# built by $(rustc --version)" = "$(head -n 1 prebuilt/clicks.sources)" ]; then
        echo "build.sh: prebuilt/clicks.wasm is not what its sources make" >&2
        exit 1
    else
        echo "prebuilt/clicks.wasm: this compiler makes other bytes ($(head -n 1 prebuilt/clicks.sources))"
    fi
}

case "${1:-}" in
    --keep) keep ;;
    --check) check ;;
    --rust) all "${2:-$CARGO_TARGET_DIR/modules}" rust ;;
    *) all "${1:-$CARGO_TARGET_DIR/modules}" every ;;
esac
