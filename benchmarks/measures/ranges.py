"""64 KiB at random offsets in a large object: time, CPU, and requests to the store."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from benchmarks.accounting import MIB, Way, interleaved
from benchmarks.bench import Bench, endpoint_of, pid_of
from benchmarks.client import Client, once
from benchmarks.measures.multipart import PART, UploadWork
from benchmarks.peers import BUCKET
from benchmarks.results import cpu, rate
from benchmarks.signing import SSE_S3, Endpoint, signed_head

_RANGE = 65536
_TARGETS = {"whole": f"/{BUCKET}/ranges", "multipart": f"/{BUCKET}/ranges-multipart"}


def measure(bench: Bench) -> None:
    """One object that was PUT whole and one in parts, each encrypted."""
    size = (256 if bench.quick else 1024) * MIB
    count = 200 if bench.quick else 1000
    store = bench.minio
    proxy, direct = endpoint_of(bench.proxy, store), endpoint_of(store)
    whole = os.urandom(size)
    head = signed_head(proxy, "PUT", _TARGETS["whole"], SSE_S3, length=size)
    once(proxy.port, head, memoryview(whole))
    head = signed_head(direct, "PUT", f"/{BUCKET}/ranges-plain", length=size)
    once(direct.port, head, memoryview(whole))
    del whole
    UploadWork(proxy, SSE_S3, os.urandom(PART), size // PART, _TARGETS["multipart"])()
    offsets = [random.randrange(size - _RANGE) for _ in range(count)]  # not aligned to anything
    pids = {"front": pid_of(bench.proxy), "store": pid_of(store)}
    ways = {
        "MinIO": Way(_reads(direct, f"/{BUCKET}/ranges-plain", offsets), {"store": pid_of(store)}),
        **{
            f"sseproxy, {name} object": Way(_reads(proxy, target, offsets), pids)
            for name, target in _TARGETS.items()
        },
    }
    costs = interleaved(ways, bench.rounds, count, bench.say)
    rows = [
        (
            name,
            [
                rate(each),
                cpu(each, "front") * 1e6 if "front" in each[0].cpu else None,
                cpu(each, "store") * 1e6,
            ],
        )
        for name, each in costs.items()
    ]
    bench.table(
        f"64 KiB at random offsets in {size // MIB} MiB, one connection",
        ["ranges/s", "CPU µs in front", "CPU µs of the store"],
        rows,
    )
    _count_requests(bench, offsets)


def _count_requests(bench: Bench, offsets: list[int]) -> None:
    """What a worker with empty caches asks of the store for the first range, and the next ones."""
    for name, target in _TARGETS.items():
        proxy = bench.new_proxy(bench.minio)
        endpoint = endpoint_of(proxy, bench.minio)
        before = proxy.store_requests()
        _reads(endpoint, target, offsets[:1])()
        first = proxy.store_requests()
        _reads(endpoint, target, offsets[1:101])()
        rest = proxy.store_requests()
        proxy.stop()
        bench.line(
            f"Store requests for the first range of a {name} object",
            first - before,
            2 if name == "whole" else 3,
        )
        bench.line(
            f"Store requests for a range of a {name} object once seen", (rest - first) / 100, 1
        )


def _reads(endpoint: Endpoint, target: str, offsets: list[int]) -> Callable[[], None]:
    def read() -> None:
        with Client(endpoint.port) as client:
            for offset in offsets:
                wanted = {"Range": f"bytes={offset}-{offset + _RANGE - 1}"}
                client.request(signed_head(endpoint, "GET", target, wanted))

    return read
