# Installs the servers and clients of the peers suite into $PEERS, once: sourced by `run`.
#
# Every version is pinned. A step whose result is there already does nothing; a step that fails says so, and the tests that
# need its result fail. Only the Python environment is needed by all of them, so only its failure ends the run.
#
# $PEERS/bin        minio, versitygw, docker-compose
# $PEERS/venv       pytest, boto3, moto and readers;  $PEERS/awscli: AWS CLI v1
# $PEERS/snappy     snappy-java, the reader that CompressionFormat Snappy is named after
# $PEERS/modules    the example modules of transforms/guest
# $PEERS/orc        ORC's own reader, in Java
# $PEERS/image      the root file system of debian:bookworm-slim, for a machine that pulls no images

MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
VERSITYGW_VERSION=v1.8.0
COMPOSE_VERSION=v2.40.3
SNAPPY_JAVA_VERSION=1.1.10.8
ORC_VERSION=1.9.5

install_peers() {
    mkdir -p "$PEERS/bin" "$PEERS/log"
    step "Python clients and readers" venv venv requirements.txt
    try "AWS CLI v1" venv awscli awscli.txt
    try "AWS CLI v2 and packages of Debian" packages
    try "MinIO $MINIO_VERSION" go_install minio github.com/minio/minio "$MINIO_VERSION"
    try "versitygw $VERSITYGW_VERSION" go_install versitygw github.com/versity/versitygw/cmd/versitygw "$VERSITYGW_VERSION"
    try "snappy-java $SNAPPY_JAVA_VERSION" snappy_java
    try "ORC $ORC_VERSION" orc_tools
    try "docker compose $COMPOSE_VERSION" compose
    try "base image" base_image
    try "example modules" modules
}

# step TEXT COMMAND…: runs COMMAND in a shell of its own (where `set -e` holds), its output in a log, and prints how long it
# took.
step() {
    local text=$1 started=$SECONDS log
    shift
    log=$PEERS/log/$(tr -c 'a-zA-Z0-9\n' - <<<"$text").log
    printf 'peers: %s … ' "$text"
    # A function called where its failure is looked at would run on after a failed command; a subshell in the background does
    # not.
    (set -e && "$@") >"$log" 2>&1 </dev/null &
    if wait $!; then
        printf 'ready (%d s)\n' $((SECONDS - started))
    else
        printf 'FAILED after %d s; the end of %s:\n' $((SECONDS - started)) "$log"
        tail -n 15 "$log"
        return 1
    fi
}

try() {
    step "$@" || printf 'peers: the tests that need it will fail\n'
}

# venv NAME REQUIREMENTS
venv() {
    local dir=$PEERS/$1 wanted=$HERE/$2
    cmp -s "$wanted" "$dir/installed.txt" && return
    rm -rf "$dir"
    python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet --requirement "$wanted"
    cp "$wanted" "$dir/installed.txt"
}

# go_install NAME PACKAGE VERSION: a static binary, so that it runs in an image from scratch too.
go_install() {
    local binary=$PEERS/bin/$1
    [ -x "$binary" ] && go version -m "$binary" | grep -q "[[:space:]]$3[[:space:]]" && return
    CGO_ENABLED=0 GOBIN=$PEERS/bin go install "$2@$3"
}

snappy_java() {
    local jar=$PEERS/snappy/snappy-java-$SNAPPY_JAVA_VERSION.jar library=$PEERS/snappy/libsnappyjava.so
    [ -f "$jar" ] && [ "$library" -nt "$jar" ] && return
    rm -rf "$PEERS/snappy"
    mkdir -p "$PEERS/snappy"
    cd "$PEERS/snappy"
    mvn -q dependency:get -Dartifact="org.xerial.snappy:snappy-java:$SNAPPY_JAVA_VERSION" -Dtransitive=false
    mvn -q dependency:copy -Dartifact="org.xerial.snappy:snappy-java:$SNAPPY_JAVA_VERSION" -DoutputDirectory="$PEERS/snappy"
    unzip -p "$jar" "org/xerial/snappy/native/Linux/$(uname -m)/libsnappyjava.so" >"$library"
}

# Cargo and Go know what is to be built anew.
modules() {
    rustup target add wasm32-unknown-unknown
    export CARGO_TARGET_DIR=$PEERS/guest
    rm -rf "$PEERS/modules"
    "$ROOT/transforms/guest/build.sh" "$PEERS/modules"
    "$ROOT/transforms/guest/build.sh" --check
}

orc_tools() {
    [ -f "$PEERS/orc/orc-tools-$ORC_VERSION-uber.jar" ] && return
    rm -rf "$PEERS/orc"
    mkdir -p "$PEERS/orc"
    cd "$PEERS/orc"
    mvn -q dependency:get -Dartifact="org.apache.orc:orc-tools:$ORC_VERSION:jar:uber" -Dtransitive=false
    mvn -q dependency:copy -Dartifact="org.apache.orc:orc-tools:$ORC_VERSION:jar:uber" -DoutputDirectory="$PEERS/orc"
}

# Not `go install`: the module excludes versions, which that refuses.
compose() {
    local binary=$PEERS/bin/docker-compose
    [ -x "$binary" ] && go version -m "$binary" | grep -q "[[:space:]]$COMPOSE_VERSION[[:space:]]" && return
    local module=$PEERS/build/compose
    rm -rf "$module"
    mkdir -p "$module"
    cd "$module"
    go mod init peers
    go get "github.com/docker/compose/v2/cmd@$COMPOSE_VERSION"
    CGO_ENABLED=0 go build -o "$binary" github.com/docker/compose/v2/cmd
    rm -rf "$module"
}

packages() {
    local missing=() package
    for package in awscli curl jq unzip docker.io iptables debootstrap; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    apt-get update -q
    # The suite starts a daemon of its own; the package's must stay off.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

base_image() {
    local tar=$PEERS/image/bookworm.tar root=$PEERS/build/bookworm
    [ -f "$tar" ] && return
    rm -rf "$root"
    mkdir -p "$PEERS/image" "$root"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root"
    tar -C "$root" -cf "$tar.part" .
    mv "$tar.part" "$tar"
    rm -rf "$root"
}
