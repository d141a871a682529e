"""Peak memory with many slow readers and many uploads at once, and growth under mixed load."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.accounting import MIB, restart_peak, status_bytes
from benchmarks.bench import Bench, endpoint_of, pid_of
from benchmarks.client import Client, once
from benchmarks.measures.multipart import UploadWork
from benchmarks.peers import BUCKET, Proxy
from benchmarks.signing import SSE_S3, Endpoint, signed_head
from benchmarks.wrk import loads

_READERS, _UPLOADS = 500, 200
_SIZE = 8 * MIB
_SLOW_BYTES = 65536


def measure(bench: Bench) -> None:
    """Each of a worker of its own."""
    _peaks(bench)
    _growth(bench)


def _peaks(bench: Bench) -> None:
    body = os.urandom(_SIZE)
    rows: list[tuple[str, list[float | None]]] = []
    works = ((f"{_READERS} slow readers", _slow_readers), (f"{_UPLOADS} uploads", _slow_uploads))
    for name, work in works:
        proxy = bench.new_proxy(bench.minio)
        endpoint = endpoint_of(proxy, bench.minio)
        head = signed_head(endpoint, "PUT", f"/{BUCKET}/slow", SSE_S3, length=_SIZE)
        _fill_pool(endpoint, head, body)
        base = restart_peak(pid_of(proxy))
        bench.say(name)
        transfers = work(bench, endpoint, body)
        growth = status_bytes(pid_of(proxy), "VmHWM") - base
        proxy.stop()
        each = growth / transfers / MIB
        rows.append((name, [base / MIB, growth / MIB, each]))
        bench.line(f"{name}: MiB a transfer over the base and the pool", each, 1.0)
    bench.table(
        "Peak memory of a worker", ["MiB before", "MiB more at the peak", "MiB a transfer"], rows
    )


def _fill_pool(endpoint: Endpoint, head: bytes, body: bytes) -> None:
    """Let the worker make all the buffers that it keeps: they are part of the base."""
    clients = [Client(endpoint.port) for _ in range(32)]
    for client in clients:
        client.send(head, memoryview(body)[:MIB])
    for client in clients:
        client.send(b"", memoryview(body)[MIB:])
        client.answer()
    readers = [Client(endpoint.port) for _ in range(32)]
    get = signed_head(endpoint, "GET", f"/{BUCKET}/slow")
    for client in readers:
        client.send(get)
    for client in readers:
        client.answer()
    for client in (*clients, *readers):
        client.__exit__(None, None, None)


def _slow_readers(bench: Bench, endpoint: Endpoint, body: bytes) -> int:
    """Readers that take 64 KiB now and then, and at last the rest; every byte is compared."""
    get = signed_head(endpoint, "GET", f"/{BUCKET}/slow")
    clients = [Client(endpoint.port) for _ in range(_READERS)]
    for client in clients:
        client.send(get)
    places: dict[int, int] = {}
    by_number = {client.fileno(): client for client in clients}
    with selectors.DefaultSelector() as waiting:
        for client in clients:
            _, first, length = client.head()
            if length != len(body) or not body.startswith(first):
                raise RuntimeError("a slow reader got wrong bytes")
            places[client.fileno()] = len(first)
            waiting.register(client.fileno(), selectors.EVENT_READ)
        slow_until = time.monotonic() + (5 if bench.quick else 20)
        while waiting.get_map():
            slow = time.monotonic() < slow_until
            for key, _ in waiting.select():
                data = by_number[key.fd].read(_SLOW_BYTES if slow else MIB)
                place = places[key.fd]
                if not data or data != body[place : place + len(data)]:
                    raise RuntimeError("a slow reader got wrong bytes")
                places[key.fd] = place + len(data)
                if places[key.fd] == len(body):
                    waiting.unregister(key.fd)
            if slow:
                time.sleep(0.5)
    for client in clients:
        client.__exit__(None, None, None)
    return _READERS


def _slow_uploads(bench: Bench, endpoint: Endpoint, body: bytes) -> int:
    """Uploads that go on side by side, 64 KiB at a time."""
    clients = [Client(endpoint.port) for _ in range(_UPLOADS)]
    for number, client in enumerate(clients):
        client.send(
            signed_head(endpoint, "PUT", f"/{BUCKET}/upload-{number}", SSE_S3, length=len(body))
        )
    view = memoryview(body)
    for start in range(0, len(body), _SLOW_BYTES):
        for client in clients:
            client.send(b"", view[start : start + _SLOW_BYTES])
    for client in clients:
        client.answer()
        client.__exit__(None, None, None)
    return _UPLOADS


def _growth(bench: Bench) -> None:
    """Resident memory after a minute's worth of load against the end of it."""
    proxy = bench.new_proxy(bench.minio)
    endpoint = endpoint_of(proxy, bench.minio)
    small, large = os.urandom(1024), os.urandom(_SIZE)
    seconds = 20 if bench.quick else 600
    sizes: list[tuple[float, int]] = []
    began = time.monotonic()
    _fill_pool(
        endpoint, signed_head(endpoint, "PUT", f"/{BUCKET}/slow", SSE_S3, length=_SIZE), large
    )
    cycle = _mixed(proxy, endpoint, small, large)
    while time.monotonic() - began < seconds:
        bench.say(f"mixed load, {time.monotonic() - began:.0f} of {seconds} s")
        cycle()
        sizes.append((time.monotonic() - began, status_bytes(pid_of(proxy), "VmRSS")))
    settled = [size for at, size in sizes if seconds * 0.2 <= at < seconds * 0.5]
    last = [size for at, size in sizes if at >= seconds * 0.7]
    bench.table(
        f"Resident memory over {seconds} s of mixed load",
        ["MiB, first half", "MiB, end"],
        [("one worker", [median(settled) / MIB, median(last) / MIB])],
    )
    bench.line(
        f"Resident memory at the end / in the first half of {seconds} s of mixed load",
        median(last) / median(settled),
        1.05,
    )


def _mixed(proxy: Proxy, endpoint: Endpoint, small: bytes, large: bytes) -> Callable[[], None]:
    """Small and large, in parts, ranges, listings."""
    keys: Sequence[str] = [f"/{BUCKET}/mixed-{number}" for number in range(200)]
    puts = [signed_head(endpoint, "PUT", k, SSE_S3, body=small) + small for k in keys]
    gets = [signed_head(endpoint, "GET", key) for key in keys]
    listing = signed_head(endpoint, "GET", f"/{BUCKET}?list-type=2")
    upload = signed_head(endpoint, "PUT", f"/{BUCKET}/mixed-large", SSE_S3, length=len(large))
    download = signed_head(endpoint, "GET", f"/{BUCKET}/mixed-large")
    parts = UploadWork(endpoint, SSE_S3, large, 4, f"/{BUCKET}/mixed-parts")
    for put in puts:
        once(endpoint.port, put)

    def cycle() -> None:
        loads([endpoint.port], [[*puts, *gets, listing]], 32, 2)
        for _ in range(4):
            once(endpoint.port, upload, memoryview(large))
            once(endpoint.port, download)
        parts()

    return cycle
