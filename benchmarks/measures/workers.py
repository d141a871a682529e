"""One worker against two, over nginx with static files: a store that costs next to nothing."""

from __future__ import annotations

import os

from benchmarks.accounting import MIB, Way, interleaved
from benchmarks.bench import Bench, endpoint_of, pid_of
from benchmarks.client import Client, once
from benchmarks.peers import BUCKET, Nginx, Proxy
from benchmarks.results import cpu, rate, ratio_of_rates
from benchmarks.signing import SSE_S3, signed_head
from benchmarks.wrk import loads

_CONNECTIONS = 64
_KEPT = ("etag", "last-modified", "x-amz-meta-", "content-type")


def measure(bench: Bench) -> None:
    """GET of 1 KiB and of 1 MiB, encrypted; the connections are split between the workers."""
    sizes = {"1 KiB": 1024, "1 MiB": MIB}
    static = {}
    for size in sizes.values():
        path = f"/{BUCKET}/static-{size}"
        sealed, headers = _sealed_object(bench, path, os.urandom(size))
        file = bench.folder / f"static-{size}"
        file.write_bytes(sealed)
        static[path] = (file, headers)
    store = bench.started(lambda folder: Nginx(folder, bench.minio.endpoint, static=static))
    workers = [bench.new_proxy(bench.minio, through=store.endpoint) for _ in range(2)]
    for name, size in sizes.items():
        _measure(bench, name, f"/{BUCKET}/static-{size}", workers, store)


def _measure(bench: Bench, name: str, path: str, workers: list[Proxy], store: Nginx) -> None:
    requests = [[signed_head(endpoint_of(worker, bench.minio), "GET", path)] for worker in workers]
    ports = [worker.ports[0] for worker in workers]
    pids = {"front": pid_of(workers[0]), "second": pid_of(workers[1]), "store": pid_of(store)}
    seconds = 1.0 if bench.quick else 5.0
    ways = {
        "one worker": Way(lambda: loads(ports[:1], requests[:1], _CONNECTIONS, seconds), pids),
        "two workers": Way(lambda: loads(ports, requests, _CONNECTIONS, seconds), pids),
    }
    costs = interleaved(ways, bench.rounds, 1, bench.say)
    bench.table(
        f"GET of {name} over static files, {_CONNECTIONS} connections",
        ["requests/s", "CPU µs of the workers", "CPU µs of nginx"],
        [
            (way, [rate(each), cpu(each, "front", "second") * 1e6, cpu(each, "store") * 1e6])
            for way, each in costs.items()
        ],
    )
    bench.line(
        f"GET of {name}: two workers / one",
        ratio_of_rates(costs, "two workers", "one worker"),
        1.8,
        at_least=True,
    )


def _sealed_object(bench: Bench, path: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    """An object's bytes and headers as the store keeps them."""
    proxy, direct = endpoint_of(bench.proxy, bench.minio), endpoint_of(bench.minio)
    once(proxy.port, signed_head(proxy, "PUT", path, SSE_S3, body=body), body)
    with Client(direct.port) as client:
        client.send(signed_head(direct, "GET", path))
        head, sealed = client.answer(keep=True)
    lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    return sealed, {k: v for k, _, v in lines if k.lower().startswith(_KEPT)}
