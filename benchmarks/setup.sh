#!/usr/bin/env bash
# Install what the benchmarks measure against and no wheel has: nginx and wrk (Debian packages),
# and MinIO (built once, as for the tests).
set -euo pipefail

missing=()
command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]] || missing+=(nginx-light)
command -v wrk >/dev/null || missing+=(wrk)
if ((${#missing[@]})); then
    if ! command -v apt-get >/dev/null; then
        echo "install these first: ${missing[*]}" >&2
        exit 1
    fi
    sudo=
    if ((EUID)); then sudo=sudo; fi
    $sudo apt-get update -qq
    # nginx is started by the benchmarks alone, not by the package as a service.
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
"$(dirname "${BASH_SOURCE[0]}")/../tests/setup/build-tools.sh"
