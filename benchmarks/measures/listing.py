"""Listings of encrypted objects, whose sizes and ETags come from their metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

from lxml import etree

from benchmarks.accounting import Way, interleaved
from benchmarks.bench import Bench, endpoint_of, pid_of
from benchmarks.client import fetched, in_parallel
from benchmarks.peers import Proxy
from benchmarks.results import Line, cpu, rate
from benchmarks.signing import SSE_S3, Endpoint, signed_head
from sseproxy.demo_store import SeaweedFS
from tests.servers import MinIO

_PAGE = 1000
_BODY = bytes(100)
_HEADS = 32


def measure(bench: Bench) -> None:
    """Over both stores: 1,000 and 10,000 objects, with what this worker knows of them and without.

    A cold listing is measured against the same questions asked of the store bare: MinIO tells the
    metadata in its listing, SeaweedFS is asked for each object.
    """
    for store in (bench.minio, bench.seaweedfs):
        filler = bench.proxy if store is bench.minio else bench.proxy_seaweedfs
        for count in (1000,) if bench.quick and store is bench.seaweedfs else (1000, 10_000):
            _measure(bench, store, filler, count)


def _measure(bench: Bench, store: MinIO | SeaweedFS, filler: Proxy, count: int) -> None:
    bucket = f"listing-{count}"
    title = f"{count:,} objects over {type(store).__name__}"
    bench.say(f"writing {title}")
    through = endpoint_of(filler, store)
    bench.buckets(through, bucket)
    keys = [f"object-{number:05}" for number in range(count)]
    put = signed_head
    requests = [(put(through, "PUT", f"/{bucket}/{k}", SSE_S3, body=_BODY), _BODY) for k in keys]
    in_parallel(through.port, requests, 8)
    direct, pid = endpoint_of(store), pid_of(store)
    warm = endpoint_of(filler, store)
    cold = [bench.new_proxy(store) for _ in range(bench.rounds + 1)]
    fresh = iter(cold)
    if isinstance(store, MinIO):
        bare: Callable[[], None] = _lists(direct, bucket, count, "&metadata=true")
    else:
        bare = _heads(direct, bucket, keys)
    ways = {
        "the store's own": Way(_lists(direct, bucket, count), {"store": pid}),
        "the store, asked for all that is needed": Way(bare, {"store": pid}),
        "sseproxy, warm": Way(_lists(warm, bucket, count), {"front": pid_of(filler), "store": pid}),
        "sseproxy, cold": Way(
            lambda: _lists(endpoint_of(next(fresh), store), bucket, count)(), {"store": pid}
        ),
    }
    costs = interleaved(ways, bench.rounds, 1, bench.say)
    for proxy in cold:
        proxy.stop()
    ms = {name: 1000 / rate(each) for name, each in costs.items()}
    bench.table(
        f"Listing {title}",
        ["ms", "CPU ms in front", "CPU ms of the store"],
        [
            (
                name,
                [
                    ms[name],
                    cpu(each, "front") * 1e3 if "front" in each[0].cpu else None,
                    cpu(each, "store") * 1e3,
                ],
            )
            for name, each in costs.items()
        ],
    )
    limit = 1.3 if count == _PAGE else None
    pairs = (
        ("warm", "sseproxy, warm", "the store's own"),
        ("cold", "sseproxy, cold", "the store, asked for all that is needed"),
    )
    for name, ours, theirs in pairs:
        bench.report.lines.append(
            Line(f"Listing {title}, {name} / {theirs}", ms[ours] / ms[theirs], limit)
        )


def _lists(endpoint: Endpoint, bucket: str, count: int, more: str = "") -> Callable[[], None]:
    """Every page, one after the other."""

    def work() -> None:
        seen, token = 0, ""
        while True:
            query = f"continuation-token={quote(token, safe='')}&" if token else ""
            target = f"/{bucket}?{query}list-type=2&max-keys={_PAGE}{more}"
            page = fetched(endpoint.port, signed_head(endpoint, "GET", target))
            seen += page.count(b"<Contents>")
            if b"<IsTruncated>true" not in page:
                break
            token = etree.fromstring(page).findtext("{*}NextContinuationToken") or ""
        if seen != count:
            raise RuntimeError(f"{seen} objects listed, not {count}")

    return work


def _heads(endpoint: Endpoint, bucket: str, keys: Sequence[str]) -> Callable[[], None]:
    """The listing, and a HEAD of every object over some connections."""
    listing = _lists(endpoint, bucket, len(keys))

    def work() -> None:
        listing()
        heads = [(signed_head(endpoint, "GET", f"/{bucket}/{key}"), b"") for key in keys]
        in_parallel(endpoint.port, heads, _HEADS)

    return work
