"""1 KiB, signed: throughput, latency and CPU per request."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from benchmarks.accounting import Cost, Way, interleaved
from benchmarks.bench import Bench, endpoint_of, pid_of
from benchmarks.client import once
from benchmarks.peers import BUCKET
from benchmarks.results import cpu, latency, rate
from benchmarks.signing import SSE_S3, Endpoint, signed_head
from benchmarks.wrk import loads

SIZE = 1024
_KEYS = 64
_CONNECTIONS = (1, 16, 128)
_OURS, _BASELINE = "sseproxy SSE-S3", "aiohttp bare"


def measure(bench: Bench) -> None:
    """GET and PUT at each number of connections."""
    body = os.urandom(SIZE)
    for method in ("PUT", "GET"):
        for connections in _CONNECTIONS:
            bench.say(f"small {method}, {connections} connections")
            ways = _ways(bench, method, body, connections)
            costs = interleaved(ways, bench.rounds, 1, bench.say)
            _report(bench, method, connections, costs)


def _report(
    bench: Bench, method: str, connections: int, costs: Mapping[str, Sequence[Cost]]
) -> None:
    bench.table(
        f"{method} of 1 KiB, {connections} connection{'s' if connections > 1 else ''}",
        ["requests/s", "p50 ms", "p99 ms", "CPU µs in front", "CPU µs of the store"],
        [
            (
                name,
                [
                    rate(each),
                    latency(each, "p50"),
                    latency(each, "p99"),
                    cpu(each, "front") * 1e6 if "front" in each[0].cpu else None,
                    cpu(each, "store") * 1e6,
                ],
            )
            for name, each in costs.items()
        ],
    )
    for suffix, limit in ((" (asyncio)", 1.3), (" (uvloop)", 1.3)):
        bench.line(
            f"{method} of 1 KiB, {connections} connections: worker CPU / {_BASELINE}{suffix}",
            cpu(costs[_OURS], "front") / cpu(costs[_BASELINE + suffix], "front"),
            limit,
        )
    if connections == 1:
        for percentile, limit in (("p50", 1.0), ("p99", 4.0)):
            ours, store = (latency(costs[name], percentile) for name in (_OURS, "MinIO"))
            if ours is not None and store is not None:
                bench.line(
                    f"{method} of 1 KiB: {percentile} over the store's own, ms", ours - store, limit
                )


def _ways(bench: Bench, method: str, body: bytes, connections: int) -> dict[str, Way]:
    seconds = 0.5 if bench.quick else 3.0
    store = bench.minio
    direct = endpoint_of(store)
    pid = pid_of(store)

    def way(
        endpoint: Endpoint, prefix: str, pids: Mapping[str, int], headers: Mapping[str, str]
    ) -> Way:
        requests = _requests(endpoint, prefix, method, body, headers)
        return Way(lambda: loads([endpoint.port], [requests], connections, seconds), pids)

    sse = SSE_S3 if method == "PUT" else {}
    relays = {
        "nginx": bench.nginx,
        f"{_BASELINE} (asyncio)": bench.bare_asyncio,
        f"{_BASELINE} (uvloop)": bench.bare_uvloop,
    }
    proxy = endpoint_of(bench.proxy, store)
    own = bench.minio_sse
    return {
        "MinIO": way(direct, "small", {"store": pid}, {}),
        "MinIO's own SSE-S3": way(endpoint_of(own), "small", {"store": pid_of(own)}, sse),
        **{
            name: way(
                endpoint_of(relay, store, signed_for=direct.host),
                "small",
                {"front": pid_of(relay), "store": pid},
                {},
            )
            for name, relay in relays.items()
        },
        _OURS: way(proxy, "encrypted", {"front": pid_of(bench.proxy), "store": pid}, sse),
    }


def _requests(
    endpoint: Endpoint, prefix: str, method: str, body: bytes, headers: Mapping[str, str]
) -> list[bytes]:
    """The requests with their bodies. For a GET the objects are put first."""
    targets = [f"/{BUCKET}/{prefix}-{number}" for number in range(_KEYS)]
    if method == "PUT":
        return [signed_head(endpoint, method, t, headers, body=body) + body for t in targets]
    for target in targets:
        head = signed_head(
            endpoint, "PUT", target, SSE_S3 if prefix == "encrypted" else {}, body=body
        )
        once(endpoint.port, head, body)
    return [signed_head(endpoint, method, target) for target in targets]
