"""A worker under load, recorded by py-spy: where its time goes."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.bench import Bench, endpoint_of, pid_of
from benchmarks.client import once
from benchmarks.measures.large import SIZE
from benchmarks.peers import BUCKET
from benchmarks.signing import SSE_S3, Endpoint, signed_head
from benchmarks.wrk import loads
from sseproxy.demo_store import StartFailed, find_program

_TOP = 40
_RATE_HZ = 200
Load = Callable[[Endpoint, float], None]


def _small(method: str) -> Load:
    def work(endpoint: Endpoint, seconds: float) -> None:
        body = os.urandom(1024)
        targets = [f"/{BUCKET}/profiled-{number}" for number in range(64)]
        puts = [signed_head(endpoint, "PUT", t, SSE_S3, body=body) + body for t in targets]
        for put in puts:
            once(endpoint.port, put)
        gets = [signed_head(endpoint, "GET", target) for target in targets]
        loads([endpoint.port], [gets if method == "GET" else puts], 16, seconds)

    return work


def _large(method: str, size: int = SIZE) -> Load:
    def work(endpoint: Endpoint, seconds: float) -> None:
        body = memoryview(os.urandom(size))
        put = signed_head(endpoint, "PUT", f"/{BUCKET}/profiled", SSE_S3, length=size)
        get = signed_head(endpoint, "GET", f"/{BUCKET}/profiled")
        once(endpoint.port, put, body)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            once(endpoint.port, *((put, body) if method == "PUT" else (get, b"")))

    return work


def _listing(endpoint: Endpoint, seconds: float) -> None:
    body = bytes(100)
    for number in range(1000):
        target = f"/{BUCKET}/profiled-list-{number}"
        once(endpoint.port, signed_head(endpoint, "PUT", target, SSE_S3, body=body), body)
    head = signed_head(endpoint, "GET", f"/{BUCKET}?list-type=2&prefix=profiled-list")
    loads([endpoint.port], [[head]], 1, seconds)


WORKS: Mapping[str, Load] = {
    "get-large": _large("GET"),
    "put-large": _large("PUT"),
    "get-small": _small("GET"),
    "put-small": _small("PUT"),
    "list": _listing,
}


def record(
    bench: Bench, work: str, seconds: int, folder: Path
) -> tuple[Path, list[tuple[float, float, str]]]:
    """(flame graph, the top functions as (% with callees, % itself, name)).

    Raises StartFailed where py-spy may not look into another process.
    """
    proxy = bench.proxy
    endpoint = endpoint_of(proxy, bench.minio)
    load = WORKS[work]
    load(endpoint, 1)
    graph, raw = folder / f"profile-{work}.svg", folder / f"profile-{work}.txt"
    for form, file in (("flamegraph", graph), ("raw", raw)):
        bench.say(f"{work}: recording {file}")
        spy = _spy(pid_of(proxy), seconds, form, file)
        # Longer than py-spy looks: it starts late, and the load's own preparation is not idle.
        load(endpoint, seconds + 2)
        output = spy.communicate()[0].decode()
        if spy.returncode:
            raise StartFailed(f"py-spy needs root, or kernel.yama.ptrace_scope=0:\n{output}")
    return graph, top_functions(raw.read_text())


def _spy(pid: int, seconds: int, form: str, file: Path) -> subprocess.Popen[bytes]:
    program = find_program("py-spy")
    if program is None:
        raise StartFailed("py-spy is missing: install the extra sseproxy[dev]")
    command = [str(program), "record", "--pid", str(pid), "--duration", str(seconds)]
    command += ["--rate", str(_RATE_HZ), "--format", form, "--output", str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def top_functions(raw: str) -> list[tuple[float, float, str]]:
    """From py-spy's raw stacks ("a;b;c COUNT"), the line numbers of a function taken together."""
    inclusive: Counter[str] = Counter()
    own: Counter[str] = Counter()
    total = 0
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")]
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            inclusive[frame] += int(count)
    return [
        (100 * count / total, 100 * own[name] / total, name)
        for name, count in inclusive.most_common(_TOP)
    ]
