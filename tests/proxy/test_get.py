"""GetObject: every range is the slice, and what the client learns is about the plaintext."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxies import in_process
from tests.proxy.conftest import CREDENTIAL
from tests.proxy.samples import (
    BOUNDARIES,
    KEY,
    LARGE,
    MIB,
    OTHER_KEY,
    SMALL,
    body_of,
    sealed_size,
)
from tests.proxy.wire import Wire, customer, md5
from tests.store.memory import MemoryStore

PATHS = ["/data/k", "/plain/k"]


def edges(size: int) -> list[tuple[int, int]]:
    """(first, last) around the segment boundaries of an object, the last one inclusive."""
    near = {0, 65535, 65536, 131071, 131072, size - 65537, size - 1}
    points = sorted(point for point in near if 0 <= point < size)
    return [(first, last) for first in points for last in points if first <= last]


@pytest.mark.parametrize("size", [size for size in BOUNDARIES if size])
async def test_ranges_around_every_boundary(wire: Wire, size: int) -> None:
    body = body_of(size)
    await wire.put("/data/k", body)
    for first, last in edges(size):
        got = await wire.get("/data/k", {"range": f"bytes={first}-{last}"})
        assert got.status == 206
        assert got.body == body[first : last + 1]
        assert got.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert got.etag == md5(body)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("size", [1, 65537, 524289])
async def test_suffix_and_open_ranges(wire: Wire, path: str, size: int) -> None:
    body = body_of(size)
    await wire.put(path, body)
    for count in {1, 16, 65536, 65537, size - 1, size, size + 1, 10 * size} - {0}:
        got = await wire.get(path, {"range": f"bytes=-{count}"})
        assert (got.status, got.body) == (206, body[-count:])
        start = max(0, size - count)
        assert got.headers["content-range"] == f"bytes {start}-{size - 1}/{size}"
    for first in {0, size // 2, size - 1}:
        for text in (f"bytes={first}-", f"bytes={first}-{size}", f"bytes={first}-{10 * size}"):
            got = await wire.get(path, {"range": text})
            assert (got.status, got.body) == (206, body[first:])
            assert got.headers["content-length"] == str(size - first)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("size", [0, 1, SMALL, LARGE])
async def test_ranges_past_the_end_are_416(wire: Wire, path: str, size: int) -> None:
    await wire.put(path, body_of(size))
    for text in (f"bytes={size}-", f"bytes={size + 5}-{size + 9}", *(["bytes=-5"] * (size == 0))):
        for _ in range(2):  # looked up, and remembered
            got = await wire.get(path, {"range": text})
            assert (got.status, got.code) == (416, "InvalidRange")
        head = await wire.inspect(path, {"range": text})
        assert head.status == 416
    refused = await wire.get("/data/k", {"range": f"bytes={size}-"})
    if path == "/data/k":
        assert refused.text("ActualObjectSize") == str(size)


async def test_a_suffix_of_nothing_is_416(wire: Wire) -> None:
    await wire.put("/data/k", b"x" * SMALL)
    assert (await wire.get("/data/k", {"range": "bytes=-0"})).status == 416


async def test_ranges_that_are_none_give_everything(wire: Wire) -> None:
    body = body_of(SMALL)
    await wire.put("/data/k", body)
    for text in ("bytes=5-2", "bytes=", "lines=1-2", "bytes=a-b", "bytes=0-1,3-4"):
        got = await wire.get("/data/k", {"range": text})
        assert (got.status, got.body) == (200, body), text


async def test_a_range_fetches_no_more_than_its_segments(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/data/k", body_of(3 * MIB))
    await wire.get("/data/k")  # remembers the object
    store.requests.clear()
    await wire.get("/data/k", {"range": "bytes=70000-140000"})
    (asked,) = store.requests
    assert asked.headers["range"] == f"bytes={64 + 65552}-{64 + 3 * 65552 - 1}"
    assert asked.headers["if-match"] == f'"{store.raw("data", "k").etag}"'


async def test_an_object_is_looked_at_once_and_read_once(wire: Wire, store: MemoryStore) -> None:
    for size in (0, SMALL):
        await wire.put("/data/k", body_of(size))
        store.requests.clear()
        await wire.get("/data/k")
        assert [asked.method for asked in store.requests] == ["GET"]


@settings(max_examples=25, deadline=None)
@given(
    size=st.sampled_from([1, 15, 65536, 131072, 131073, 200_000, 524288, 524289, 600_000]),
    spans=st.lists(
        st.tuples(st.integers(0, 600_000), st.integers(0, 600_000)), min_size=1, max_size=8
    ),
    with_key=st.booleans(),
)
def test_a_range_is_the_slice(size: int, spans: list[tuple[int, int]], with_key: bool) -> None:
    asyncio.run(_slices(size, spans, customer(KEY) if with_key else {}))


async def _slices(size: int, spans: list[tuple[int, int]], headers: dict[str, str]) -> None:
    body = body_of(size)
    with tempfile.TemporaryDirectory() as folder:
        async with in_process(MemoryStore("data"), CREDENTIAL, Path(folder)) as proxy:
            wire = Wire(proxy)
            await wire.put("/data/k", body, headers)
            for first, length in spans:
                start, last = first % size, first % size + length
                got = await wire.get("/data/k", {**headers, "range": f"bytes={start}-{last}"})
                assert (got.status, got.body) == (206, body[start : last + 1])


class TestParts:
    async def test_part_1_is_everything(self, wire: Wire) -> None:
        for size in (SMALL, LARGE):
            body = body_of(size)
            await wire.put("/data/k", body)
            got = await wire.get("/data/k", query={"partNumber": "1"})
            assert (got.status, got.body) == (206, body)
            assert got.headers["content-range"] == f"bytes 0-{size - 1}/{size}"
            head = await wire.inspect("/data/k", query={"partNumber": "1"})
            assert head.headers["content-length"] == str(size)
            assert "x-amz-mp-parts-count" not in got.headers

    async def test_part_1_of_nothing(self, wire: Wire) -> None:
        await wire.put("/data/k", b"")
        got = await wire.get("/data/k", query={"partNumber": "1"})
        assert (got.status, got.body) == (200, b"")

    async def test_there_is_no_other(self, wire: Wire) -> None:
        await wire.put("/data/k", body_of(SMALL))
        for part in ("2", "0", "10000", "x"):
            got = await wire.get("/data/k", query={"partNumber": part})
            assert got.status in (400, 416), part
            assert got.body.startswith(b"<?xml")


class TestPlaintext:
    async def test_it_is_the_stores_own(self, wire: Wire, store: MemoryStore) -> None:
        """Objects from before the proxy, in a bucket that is encrypted by default now."""
        for size in (0, SMALL, LARGE):
            body = body_of(size)
            await wire.put("/plain/k", body, {"x-amz-meta-a": "b"})
            stored = store.raw("plain", "k")
            store.buckets["data"].versions["k"] = [stored]
            for path in ("/plain/k", "/data/k"):
                got = await wire.get(path)
                assert (got.status, got.body, got.etag) == (200, body, stored.etag)
                assert got.headers["x-amz-meta-a"] == "b"
                assert "x-amz-server-side-encryption" not in got.headers
                head = await wire.inspect(path)
                assert head.headers["content-length"] == str(size)
                assert head.etag == stored.etag

    async def test_its_range_is_not_rewritten(self, wire: Wire, store: MemoryStore) -> None:
        body = body_of(LARGE)
        await wire.put("/plain/k", body)
        got = await wire.get("/plain/k", {"range": "bytes=100-200000"})
        assert (got.status, got.body) == (206, body[100:200001])
        assert store.requests[-1].headers["range"] == "bytes=100-200000"

    async def test_an_error_is_the_stores_own(self, wire: Wire) -> None:
        for path, headers in (("/data/no", {}), ("/data/no", {"range": "bytes=0-1"})):
            got = await wire.get(path, headers)
            assert (got.status, got.code) == (404, "NoSuchKey")
        assert (await wire.get("/nowhere/k")).code == "NoSuchBucket"
        assert (await wire.inspect("/data/no")).status == 404


class TestCustomerKeys:
    @pytest.mark.parametrize("size", [0, SMALL, LARGE])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_missing_or_wrong(self, wire: Wire, size: int, method: str) -> None:
        await wire.put("/data/k", body_of(size), customer(KEY))
        for extra in ({}, {"range": "bytes=0-0"}, {"if-match": '"0"'}, {"if-none-match": "*"}):
            without = await wire.request(method, "/data/k", b"", extra)
            assert without.status == 400, extra
            wrong = await wire.request(method, "/data/k", b"", customer(OTHER_KEY) | extra)
            assert wrong.status == 403
            if method == "GET":
                assert (without.code, wrong.code) == ("InvalidRequest", "AccessDenied")
            for answer in (without, wrong):
                assert "etag" not in answer.headers
                assert "content-range" not in answer.headers

    async def test_the_right_one_after_a_wrong_one_and_back(self, wire: Wire) -> None:
        """What is remembered of an object never lets a wrong key in."""
        body = body_of(LARGE)
        await wire.put("/data/k", body, customer(KEY))
        for _ in range(2):
            ranged = {"range": "bytes=0-9"}
            assert (await wire.get("/data/k", customer(KEY) | ranged)).body == body[:10]
            assert (await wire.get("/data/k", customer(OTHER_KEY) | ranged)).status == 403
            assert (await wire.get("/data/k", ranged)).status == 400

    async def test_a_key_that_the_object_does_not_have(self, wire: Wire) -> None:
        for path in PATHS:
            await wire.put(path, body_of(SMALL))
            for headers in (customer(KEY), {**customer(KEY), "range": "bytes=0-1"}):
                got = await wire.get(path, headers)
                assert (got.status, got.code) == (400, "InvalidRequest")
                assert (await wire.inspect(path, headers)).status == 400

    async def test_overwriting_with_another_key(self, wire: Wire) -> None:
        await wire.put("/data/k", b"one", customer(KEY))
        await wire.get("/data/k", {**customer(KEY), "range": "bytes=0-1"})
        await wire.put("/data/k", b"two", customer(OTHER_KEY))
        assert (await wire.get("/data/k", customer(KEY))).status == 403
        ranged = {"range": "bytes=0-1"}
        assert (await wire.get("/data/k", customer(KEY) | ranged)).status == 403
        assert (await wire.get("/data/k", customer(OTHER_KEY) | ranged)).body == b"tw"


async def test_versions_are_read_by_id(wire: Wire, store: MemoryStore) -> None:
    store.buckets["data"].versioned = True
    bodies = [body_of(SMALL, seed=1), body_of(LARGE, seed=2), b""]
    ids = [(await wire.put("/data/k", body)).headers["x-amz-version-id"] for body in bodies]
    for body, version in zip(bodies, ids, strict=True):
        got = await wire.get("/data/k", query={"versionId": version})
        assert (got.body, got.headers["x-amz-version-id"]) == (body, version)
        assert got.etag == md5(body)
        if body:
            ranged = await wire.get("/data/k", {"range": "bytes=1-5"}, query={"versionId": version})
            assert ranged.body == body[1:6]
    assert (await wire.request("DELETE", "/data/k")).status == 204
    assert (await wire.get("/data/k")).status == 404
    assert (await wire.get("/data/k", query={"versionId": ids[0]})).body == bodies[0]


async def test_response_overrides(wire: Wire) -> None:
    query = {"response-content-type": "text/x", "response-content-disposition": "inline"}
    for path in PATHS:
        await wire.put(path, body_of(SMALL), {"content-type": "text/plain"})
        for headers in ({}, {"range": "bytes=0-9"}):
            got = await wire.get(path, headers, query=query)
            assert got.headers["content-type"] == "text/x"
            assert got.headers["content-disposition"] == "inline"
        assert (await wire.inspect(path, query=query)).headers["content-type"] == "text/x"


async def test_bytes_are_counted(wire: Wire) -> None:
    await wire.put("/data/k", body_of(LARGE))
    await wire.get("/data/k")
    await wire.get("/data/k", {"range": "bytes=0-9"})
    metric, labels = wire.proxy.metric, {"direction": "out", "mode": "sse-cos"}
    assert metric("sseproxy_plain_bytes_total", **labels) == LARGE + 10
    assert metric("sseproxy_sealed_bytes_total", **labels) == sealed_size(LARGE) + 65552
    for status in ("200", "206"):
        labels = {"operation": "GetObject", "mode": "sse-cos", "dialect": "s3", "status": status}
        assert metric("sseproxy_requests_total", **labels) == 1
    assert metric("sseproxy_first_byte_seconds_count", operation="GetObject") == 2
    assert metric("sseproxy_cache_lookups_total", cache="attributes", result="hit") >= 1
