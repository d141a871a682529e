"""Reads of multipart objects: by range, by part, whole; and what each of them costs."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxies import in_process
from tests.proxy.conftest import CREDENTIAL
from tests.proxy.multipart_samples import (
    SEGMENT,
    SIZES,
    bodies_of,
    crc32,
    forget,
    lay,
)
from tests.proxy.samples import KEY, OTHER_KEY, SMALL, body_of
from tests.proxy.wire import Wire, b64, customer, md5
from tests.store.memory import MemoryStore

ENABLED = {"x-amz-checksum-mode": "ENABLED"}
CRC32, TYPE = "x-amz-checksum-crc32", "x-amz-checksum-type"


def asked(store: MemoryStore, *, system: bool) -> int:
    return sum((each.bucket == "sseproxy-system") is system for each in store.requests)


@pytest.mark.parametrize("key", [None, KEY], ids=["sse-s3", "sse-c"])
@pytest.mark.parametrize("sizes", [SIZES, [0], [0, 0], [5], [SEGMENT], [600_000, 600_000]])
async def test_the_whole(wire: Wire, store: MemoryStore, sizes: list[int], key) -> None:
    made = await lay(wire, store, bodies_of(sizes), customer_key=key)
    headers = customer(key) if key else {}
    got = await wire.get(made.path, headers)
    assert (got.status, got.body, got.etag) == (200, made.body, made.etag)
    assert got.headers["content-length"] == str(len(made.body))
    assert got.etag.endswith(f"-{len(sizes)}")
    assert CRC32 not in got.headers
    head = await wire.inspect(made.path, headers)
    assert head.headers | {"date": "", "x-amz-request-id": ""} == got.headers | {
        "date": "",
        "x-amz-request-id": "",
    }
    mode = "x-amz-server-side-encryption" + ("-customer-algorithm" if key else "")
    assert got.headers[mode] == "AES256"


async def test_ranges_around_every_part(wire: Wire, store: MemoryStore) -> None:
    made = await lay(wire, store, bodies_of(SIZES))
    body, edges = made.body, set()
    for start in made.starts():
        edges |= {start - 1, start, start + 1, start + SEGMENT - 1, start + SEGMENT}
    points = sorted(edge for edge in edges if 0 <= edge < len(body))
    for first in points:
        for last in points[points.index(first) :: 3]:
            got = await wire.get(made.path, {"range": f"bytes={first}-{last}"})
            assert (got.status, got.body) == (206, body[first : last + 1])
            assert got.headers["content-range"] == f"bytes {first}-{last}/{len(body)}"
    suffix = await wire.get(made.path, {"range": "bytes=-70001"})
    assert suffix.body == body[-70001:]
    assert (await wire.get(made.path, {"range": f"bytes={len(body)}-"})).status == 416


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 16, SEGMENT, SEGMENT + 5, 100_000]), min_size=1),
    spans=st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 400_000)), max_size=6),
)
def test_a_range_is_the_slice(sizes: list[int], spans: list[tuple[int, int]]) -> None:
    asyncio.run(_slices(sizes[:8], spans))


async def _slices(sizes: list[int], spans: list[tuple[int, int]]) -> None:
    store = MemoryStore("data")
    with tempfile.TemporaryDirectory() as folder:
        async with in_process(store, CREDENTIAL, Path(folder)) as proxy:
            wire = Wire(proxy)
            made = await lay(wire, store, bodies_of(sizes))
            body = made.body
            assert (await wire.get(made.path)).body == body
            for first, length in spans if body else []:
                start = first % len(body)
                got = await wire.get(made.path, {"range": f"bytes={start}-{start + length}"})
                assert (got.status, got.body) == (206, body[start : start + length + 1])


class TestCost:
    async def test_head_is_a_look_and_the_manifest(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of(SIZES))
        store.requests.clear()
        await wire.inspect(made.path)
        assert [(each.method, each.bucket) for each in store.requests] == [
            ("GET", "data"),
            ("GET", "sseproxy-system"),
        ]
        store.requests.clear()
        await wire.inspect(made.path)
        assert [each.headers.get("range") for each in store.requests] == ["bytes=-256"]

    async def test_the_whole_is_one_request_and_the_manifest(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        made = await lay(wire, store, bodies_of(SIZES))
        for manifests in (1, 0):
            store.requests.clear()
            await wire.get(made.path)
            assert (asked(store, system=False), asked(store, system=True)) == (1, manifests)

    async def test_a_range_is_one_request_across_parts(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        sizes = [3 * SEGMENT, 2 * SEGMENT, SEGMENT]
        made = await lay(wire, store, bodies_of(sizes))
        await wire.inspect(made.path)
        store.requests.clear()
        first, last = 2 * SEGMENT + 7, 5 * SEGMENT + 7
        got = await wire.get(made.path, {"range": f"bytes={first}-{last}"})
        assert got.body == made.body[first : last + 1]
        (one,) = store.requests
        start = 64 + 2 * (SEGMENT + 16)
        stop = len(made.sealed[0]) + len(made.sealed[1]) + 64 + SEGMENT + 16
        assert one.headers["range"] == f"bytes={start}-{stop - 1}"
        assert one.headers["if-match"] == f'"{made.composite}"'

    async def test_the_manifest_is_listed_for_where_the_etag_does_not_name_it(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        """MinIO gives an object an MD5 for ETag when it is copied onto itself."""
        made = await lay(wire, store, bodies_of(SIZES))
        store.raw("data", "k").composite = "0" * 32
        got = await wire.get(made.path)
        assert (got.status, got.body, got.etag) == (200, made.body, made.etag)

    async def test_a_remembered_manifest_is_dropped_for_newer_ones(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        wire.proxy.services.manifests._limit = 5
        for key in "abcd":
            made = await lay(wire, store, bodies_of([10, 20]), key=key)
            assert (await wire.get(made.path)).body == made.body
        assert len(wire.proxy.services.manifests._known) == 2
        huge = await lay(wire, store, bodies_of([1] * 9), key="huge")
        for _ in range(2):
            assert (await wire.get(huge.path, {"range": "bytes=2-5"})).body == huge.body[2:6]
        assert len(wire.proxy.services.manifests._known) == 1
        assert wire.proxy.metric("sseproxy_cache_entries", cache="manifests") == 1


class TestPartNumber:
    async def test_each_part(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of(SIZES))
        size, starts = len(made.body), made.starts()
        for remembered in (False, True):
            for index, body in enumerate(made.bodies):
                if not remembered:
                    forget(wire)
                query = {"partNumber": str(index + 1)}
                got = await wire.get(made.path, ENABLED, query=query)
                assert (got.status, got.body) == (206, body), index
                head = await wire.inspect(made.path, ENABLED, query=query)
                for answer in (got, head):
                    assert answer.status == 206
                    assert answer.headers["content-length"] == str(len(body))
                    assert answer.headers["x-amz-mp-parts-count"] == str(len(SIZES))
                    assert answer.headers[CRC32] == b64(crc32(body))
                    assert answer.headers[TYPE] == "COMPOSITE"
                    assert answer.etag == made.etag
                    told = f"bytes {starts[index]}-{starts[index + 1] - 1}/{size}"
                    assert answer.headers.get("content-range") == (told if body else None)

    async def test_parts_are_counted(self, wire: Wire, store: MemoryStore) -> None:
        """A client that has read the count asks for 1, 2, 3, whatever their numbers were."""
        made = await lay(wire, store, bodies_of([10, 20, 30]), numbers=[2, 7, 10_000])
        for index, body in enumerate(made.bodies):
            query = {"partNumber": str(index + 1)}
            assert (await wire.get(made.path, query=query)).body == body

    async def test_there_is_no_other(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([10, 20]))
        for query in ({"partNumber": "3"}, {"partNumber": "10000"}):
            for _ in range(2):
                got = await wire.get(made.path, query=query)
                assert (got.status, got.code) == (416, "InvalidPartNumber")
                assert got.text("PartNumberRequested") == query["partNumber"]
                assert got.text("ActualPartCount") == "2"
            assert (await wire.inspect(made.path, query=query)).status == 416

    @pytest.mark.parametrize("path", ["/data/k", "/data/single", "/plain/k"])
    async def test_what_is_no_part_number(self, wire: Wire, store: MemoryStore, path: str) -> None:
        await lay(wire, store, bodies_of([10, 20]))
        await wire.put("/data/single", b"single")
        await wire.put("/plain/k", b"plain")
        for number in ("0", "-1", "10001", "x", "", "1.0", "\u0661"):
            got = await wire.get(path, query={"partNumber": number})
            assert (got.status, got.code) == (400, "InvalidArgument"), number
            assert got.text("ArgumentName") == "partNumber"
        both = await wire.get(path, {"range": "bytes=0-1"}, query={"partNumber": "1"})
        assert (both.status, both.code) == (400, "InvalidRequest")

    async def test_one_piece_is_one_part(self, wire: Wire, store: MemoryStore) -> None:
        """The parts of an upload of unknown length are the proxy's own."""
        made = await lay(wire, store, bodies_of([10, 20]), one_piece=True, composite=False)
        assert "-" not in made.etag
        got = await wire.get(made.path, ENABLED, query={"partNumber": "1"})
        assert (got.status, got.body, got.etag) == (206, made.body, made.etag)
        assert "x-amz-mp-parts-count" not in got.headers
        assert got.headers[CRC32] == b64(crc32(made.body))
        assert (await wire.get(made.path, query={"partNumber": "2"})).code == "InvalidPartNumber"

    async def test_of_an_empty_object(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, [b""])
        got = await wire.get(made.path, query={"partNumber": "1"})
        assert (got.status, got.body) == (200, b"")
        assert got.headers["x-amz-mp-parts-count"] == "1"


class TestChecksums:
    async def test_composite(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([100, 200]))
        composite = b64(crc32(crc32(made.bodies[0]) + crc32(made.bodies[1]))) + "-2"
        for answer in (await wire.get(made.path, ENABLED), await wire.inspect(made.path, ENABLED)):
            assert (answer.headers[CRC32], answer.headers[TYPE]) == (composite, "COMPOSITE")

    async def test_of_the_whole(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([100, 200]), composite=False)
        got = await wire.get(made.path, ENABLED)
        assert (got.headers[CRC32], got.headers[TYPE]) == (b64(crc32(made.body)), "FULL_OBJECT")
        part = await wire.get(made.path, ENABLED, query={"partNumber": "2"})
        assert part.status == 206
        assert CRC32 not in part.headers
        assert TYPE not in part.headers

    async def test_the_only_part_has_the_whole_objects(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        made = await lay(wire, store, bodies_of([100]), composite=False)
        got = await wire.get(made.path, ENABLED, query={"partNumber": "1"})
        assert (got.headers[CRC32], got.headers[TYPE]) == (b64(crc32(made.body)), "FULL_OBJECT")
        single = body_of(SMALL)
        await wire.put("/data/single", single, {CRC32: b64(crc32(single))})
        got = await wire.get("/data/single", ENABLED, query={"partNumber": "1"})
        assert (got.status, got.headers[CRC32]) == (206, b64(crc32(single)))

    async def test_never_on_a_range(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([100, 200]))
        got = await wire.get(made.path, {**ENABLED, "range": "bytes=0-99"})
        assert got.status == 206
        assert not [name for name in got.headers if name.startswith("x-amz-checksum")]

    async def test_where_there_are_none(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([100, 200]), checksum=False)
        for query in ({}, {"partNumber": "1"}):
            got = await wire.get(made.path, ENABLED, query=query)
            assert not [name for name in got.headers if name.startswith("x-amz-checksum")]


class TestConditions:
    async def test_they_are_asked_of_the_clients_etag(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([100, 200]))
        fits = await wire.get(made.path, {"if-match": f'"{made.etag}"', "range": "bytes=99-101"})
        assert (fits.status, fits.body) == (206, made.body[99:102])
        assert (await wire.get(made.path, {"if-match": f'"{made.composite}"'})).status == 412
        assert (await wire.get(made.path, {"if-none-match": f'"{made.etag}"'})).status == 304

    @pytest.mark.parametrize("extra", [{}, {"range": "bytes=0-1"}, {"if-none-match": '"0"'}])
    async def test_customer_keys(self, wire: Wire, store: MemoryStore, extra) -> None:
        made = await lay(wire, store, bodies_of([100, 200]), customer_key=KEY)
        right = await wire.get(made.path, customer(KEY) | extra)
        assert right.body == (made.body[:2] if "range" in extra else made.body)
        assert (await wire.get(made.path, customer(OTHER_KEY) | extra)).code == "AccessDenied"
        assert (await wire.get(made.path, extra)).code == "InvalidRequest"
        assert (await wire.inspect(made.path, extra)).status == 400

    async def test_an_object_that_was_replaced(self, wire: Wire, store: MemoryStore) -> None:
        """What is remembered picks the window; what comes back decides."""
        old = await lay(wire, store, bodies_of([100, 200]))
        for new in (bodies_of([50, 60, 70]), [b"x" * 300]):
            ranged = {"range": "bytes=90-110"}
            await wire.get(old.path, ranged)
            made = await lay(wire, store, new)
            got = await wire.get(made.path, ranged)
            assert (got.body, got.etag) == (made.body[90:111], made.etag)
        await wire.put("/data/k", b"s" * 500)
        assert (await wire.get("/data/k", ranged)).body == b"s" * 21
        assert (await wire.get("/data/k")).etag == md5(b"s" * 500)


async def test_anonymous_requests_get_nothing(wire: Wire, store: MemoryStore) -> None:
    made = await lay(wire, store, bodies_of([100, 200]), bucket="public")
    for query in ({}, {"partNumber": "1"}):
        got = await wire.get(made.path, query=query, anonymous=True)
        assert (got.status, got.code) == (403, "AccessDenied")
