"""256 MiB in one GET and one PUT: CPU per GB and throughput."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from statistics import median

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.accounting import MIB, Cost, Way, interleaved
from benchmarks.bench import Bench, endpoint_of, pid_of
from benchmarks.client import Client, once
from benchmarks.peers import BUCKET, PLAIN_BUCKET
from benchmarks.results import cpu, rate, ratio_of_rates
from benchmarks.signing import SSE_S3, Endpoint, customer_key_headers, signed_head

SIZE = 256 * MIB
GB = SIZE / 1e9
_SEGMENT = 65536


def measure(bench: Bench) -> None:
    """All ways of GET and of PUT, and the cost of GCM and MD5 by themselves."""
    body = os.urandom(SIZE)
    key = customer_key_headers(os.urandom(32))
    gcm, md5 = _primitives(body, bench.rounds)
    puts = _ways(bench, body, key)
    bench.say("large PUT")
    put = interleaved(puts, bench.rounds, GB, bench.say)
    bench.say("large GET")
    get = interleaved(_ways(bench, None, key), bench.rounds, GB, bench.say)
    for name, costs in (("GET", get), ("PUT", put)):
        rows = [(way, _row(costs[way])) for way in costs]
        bench.table(
            f"{name} of 256 MiB", ["GB/s", "CPU-s/GB in front", "CPU-s/GB of the store"], rows
        )
    bench.table("CPU-s/GB of the primitives", ["AES-256-GCM", "MD5"], [("one thread", [gcm, md5])])
    front = {name: cpu(costs, "front") for name, costs in {**get}.items()}
    bench.line(
        "GET SSE-S3: worker CPU per GB / (nginx + GCM)",
        front["sseproxy SSE-S3"] / (front["nginx"] + gcm),
        1.3,
    )
    written = {name: cpu(costs, "front") for name, costs in put.items()}
    bench.line(
        "PUT SSE-C, no MD5: worker CPU per GB / (nginx + GCM)",
        written["sseproxy SSE-C"] / (written["nginx"] + gcm),
        1.4,
    )
    bench.line(
        "PUT: what MD5 adds / hashlib's own",
        (written["sseproxy SSE-S3"] - written["sseproxy SSE-C"]) / md5,
        1.4,
    )
    _headline(bench, get, put)


def _headline(bench: Bench, get: Mapping[str, list[Cost]], put: Mapping[str, list[Cost]]) -> None:
    ours, theirs = "sseproxy SSE-S3", "MinIO's own SSE-S3"
    for name, costs in (("GET", get), ("PUT", put)):
        bench.line(
            f"{name} throughput: encrypted by sseproxy / by MinIO itself",
            ratio_of_rates(costs, ours, theirs),
            1.0,
            at_least=True,
        )
    bench.line(
        "GET: CPU of store and proxy / of MinIO with its own SSE-S3",
        cpu(get[ours]) / cpu(get[theirs]),
        1.15,
    )
    bench.line(
        "PUT: CPU of store and proxy / of MinIO with its own SSE-S3",
        cpu(put[ours]) / cpu(put[theirs]),
    )


def _row(costs: list[Cost]) -> list[float | None]:
    has_front = "front" in costs[0].cpu
    return [rate(costs), cpu(costs, "front") if has_front else None, cpu(costs, "store")]


def _primitives(body: bytes, rounds: int) -> tuple[float, float]:
    """CPU seconds per GB of GCM over segments and of MD5 over 1 MiB pieces."""
    cipher, view, sealed = AESGCM(os.urandom(32)), memoryview(body), bytearray(_SEGMENT + 16)

    def seal() -> None:
        for start in range(0, SIZE, _SEGMENT):
            cipher.encrypt_into(bytes(12), view[start : start + _SEGMENT], None, sealed)

    def digest() -> None:
        md5 = hashlib.md5()
        for start in range(0, SIZE, MIB):
            md5.update(view[start : start + MIB])

    def once_timed(work: Callable[[], None]) -> float:
        began = time.thread_time()
        work()
        return (time.thread_time() - began) / GB

    pairs = [(once_timed(seal), once_timed(digest)) for _ in range(rounds)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def _ways(bench: Bench, body: bytes | None, key: Mapping[str, str]) -> dict[str, Way]:
    """body: to PUT; None to GET what was PUT."""
    minio, store = endpoint_of(bench.minio), pid_of(bench.minio)
    at_store = minio.host

    def way(
        endpoint: Endpoint, target: str, pids: Mapping[str, int], headers: Mapping[str, str]
    ) -> Way:
        return Way(lambda: _transfer(endpoint, target, headers, body), pids)

    def relay(name: str, pid: int, port: int) -> Way:
        endpoint = Endpoint(port, minio.access_key, minio.secret_key, signed_for=at_store)
        return way(endpoint, f"/{BUCKET}/{name}", {"front": pid, "store": store}, {})

    def proxied(target: str, headers: Mapping[str, str]) -> Way:
        endpoint = endpoint_of(bench.proxy, bench.minio)
        return way(endpoint, target, {"front": pid_of(bench.proxy), "store": store}, headers)

    sse = SSE_S3 if body is not None else {}
    own = bench.minio_sse
    weed = bench.seaweedfs
    return {
        "MinIO": way(minio, f"/{BUCKET}/direct", {"store": store}, {}),
        "MinIO's own SSE-S3": way(
            endpoint_of(own), f"/{BUCKET}/direct", {"store": pid_of(own)}, sse
        ),
        "nginx": relay("nginx", pid_of(bench.nginx), bench.nginx.ports[0]),
        "aiohttp bare": relay("bare", pid_of(bench.bare_uvloop), bench.bare_uvloop.ports[0]),
        "rclone crypt": way(
            endpoint_of(bench.rclone, bench.minio),
            "/rclone/object",
            {"front": pid_of(bench.rclone), "store": store},
            {},
        ),
        "sseproxy pass-through": proxied(f"/{PLAIN_BUCKET}/object", {}),
        "sseproxy SSE-C": proxied(f"/{BUCKET}/customer", key),
        "sseproxy SSE-S3": proxied(f"/{BUCKET}/object", sse),
        "SeaweedFS": way(endpoint_of(weed), f"/{BUCKET}/direct", {"store": pid_of(weed)}, {}),
        "sseproxy SSE-S3 over SeaweedFS": way(
            endpoint_of(bench.proxy_seaweedfs, weed),
            f"/{BUCKET}/object",
            {"front": pid_of(bench.proxy_seaweedfs), "store": pid_of(weed)},
            sse,
        ),
    }


def _transfer(
    endpoint: Endpoint, target: str, headers: Mapping[str, str], body: bytes | None
) -> None:
    if body is None:
        once(endpoint.port, signed_head(endpoint, "GET", target, headers))
        return
    head = signed_head(endpoint, "PUT", target, headers, length=len(body))
    with Client(endpoint.port) as client:
        client.request(head, body)
