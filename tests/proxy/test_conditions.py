"""Conditions mean the client's ETag, whatever the store holds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.proxy.samples import KEY, LARGE, SMALL, asked, body_of, state_of, until
from tests.proxy.wire import Wire, customer, md5
from tests.store.memory import Failure, MemoryStore

OBJECTS = [("/data/k", {}), ("/data/k", customer(KEY)), ("/plain/k", {})]
IDS = ["sse-s3", "sse-c", "plain"]
NONE = '"00000000000000000000000000000000"'


def date(offset_s: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=offset_s), usegmt=True)


@pytest.mark.parametrize(("path", "key"), OBJECTS, ids=IDS)
@pytest.mark.parametrize("size", [0, SMALL, LARGE])
class TestReads:
    async def test_every_outcome(
        self, wire: Wire, path: str, key: dict[str, str], size: int
    ) -> None:
        body = body_of(size)
        etag = f'"{(await wire.put(path, body, key)).etag}"'
        past, future = date(-1000), date(1000)
        cases = [
            ({"if-match": etag}, 200),
            ({"if-match": etag.strip('"')}, 200),
            ({"if-match": f"{NONE}, {etag}"}, 200),
            ({"if-match": "*"}, 200),
            ({"if-match": NONE}, 412),
            ({"if-none-match": etag}, 304),
            ({"if-none-match": "*"}, 304),
            ({"if-none-match": f"{NONE}, {etag}"}, 304),
            ({"if-none-match": NONE}, 200),
            ({"if-modified-since": past}, 200),
            ({"if-modified-since": future}, 304),
            ({"if-unmodified-since": past}, 412),
            ({"if-unmodified-since": future}, 200),
            # RFC 9110, 13.2.2: the ETag beats the date.
            ({"if-match": etag, "if-unmodified-since": past}, 200),
            ({"if-none-match": NONE, "if-modified-since": future}, 200),
            ({"if-match": NONE, "if-none-match": NONE}, 412),
        ]
        for headers, status in cases:
            for method in ("GET", "HEAD"):
                got = await wire.request(method, path, b"", headers | key)
                assert got.status == status, (method, headers)
                if status == 200 and method == "GET":
                    assert got.body == body
                if status == 304:
                    assert f'"{got.etag}"' == etag
                if status == 412 and method == "GET":
                    assert got.code == "PreconditionFailed"


@pytest.mark.parametrize(("path", "key"), OBJECTS, ids=IDS)
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_reads_of_a_range(wire: Wire, path: str, key: dict[str, str], size: int) -> None:
    body = body_of(size)
    etag = f'"{(await wire.put(path, body, key)).etag}"'
    ranged = {"range": "bytes=1-5", **key}
    assert (await wire.get(path, {"if-match": etag, **ranged})).body == body[1:6]
    assert (await wire.get(path, {"if-match": NONE, **ranged})).status == 412
    assert (await wire.get(path, {"if-none-match": etag, **ranged})).status == 304


async def test_the_stores_etag_is_nobodys(wire: Wire, store: MemoryStore) -> None:
    for size in (SMALL, LARGE):
        await wire.put("/data/k", body_of(size))
        stored = f'"{store.raw("data", "k").etag}"'
        assert (await wire.get("/data/k", {"if-match": stored})).status == 412
        assert (await wire.get("/data/k", {"if-none-match": stored})).status == 200


@pytest.mark.parametrize(("path", "key"), OBJECTS, ids=IDS)
@pytest.mark.parametrize("size", [SMALL, LARGE])
class TestWrites:
    async def test_only_if_absent(
        self, wire: Wire, store: MemoryStore, path: str, key: dict[str, str], size: int
    ) -> None:
        first = await wire.put(path, body_of(size), {"if-none-match": "*", **key})
        assert first.status == 200
        before = state_of(store)
        again = await wire.put(path, b"other", {"if-none-match": "*", **key})
        assert (again.status, again.code) == (412, "PreconditionFailed")
        assert state_of(store) == before

    async def test_only_if_it_is_that_one(
        self, wire: Wire, store: MemoryStore, path: str, key: dict[str, str], size: int
    ) -> None:
        etag = (await wire.put(path, b"first", key)).etag
        before = state_of(store)
        refused = await wire.put(path, body_of(size), {"if-match": NONE, **key})
        assert (refused.status, refused.code) == (412, "PreconditionFailed")
        assert state_of(store) == before
        body = body_of(size)
        assert (await wire.put(path, body, {"if-match": f'"{etag}"', **key})).status == 200
        assert (await wire.get(path, key)).body == body
        stale = await wire.put(path, b"third", {"if-match": f'"{etag}"', **key})
        assert stale.status == 412
        assert (await wire.get(path, key)).body == body

    async def test_of_nothing(
        self, wire: Wire, store: MemoryStore, path: str, key: dict[str, str], size: int
    ) -> None:
        put = await wire.put(path, body_of(size), {"if-match": NONE, **key})
        assert put.status in (404, 412)
        assert state_of(store) == {}

    async def test_deleting_only_that_one(
        self, wire: Wire, store: MemoryStore, path: str, key: dict[str, str], size: int
    ) -> None:
        etag = (await wire.put(path, body_of(size), key)).etag
        refused = await wire.request("DELETE", path, b"", {"if-match": NONE})
        assert (refused.status, refused.code) == (412, "PreconditionFailed")
        assert len(state_of(store)) == 1
        gone = await wire.request("DELETE", path, b"", {"if-match": f'"{etag}"'})
        assert gone.status == 204
        assert state_of(store) == {}


async def test_if_none_match_takes_no_etag_on_writes(wire: Wire, store: MemoryStore) -> None:
    put = await wire.put("/data/k", b"x", {"if-none-match": NONE})
    assert (put.status, put.code) == (501, "NotImplemented")
    assert state_of(store) == {}


async def test_a_writer_in_between_wins(wire: Wire, store: MemoryStore) -> None:
    """The condition is pinned at the store: between the look and the write nothing slips in."""
    etag = (await wire.put("/data/k", b"first")).etag
    gate = asyncio.Event()
    store.fail(Failure(method="PUT", key="k", gate=gate))
    store.requests.clear()
    slow = asyncio.create_task(wire.put("/data/k", b"mine", {"if-match": f'"{etag}"'}))
    await until(lambda: asked(store, "PUT") == 1)
    assert (await wire.put("/data/k", b"theirs")).status == 200
    gate.set()
    answer = await slow
    assert (answer.status, answer.code) == (412, "PreconditionFailed")
    assert (await wire.get("/data/k")).body == b"theirs"


async def test_one_etag_everywhere(wire: Wire) -> None:
    for headers in ({}, customer(KEY)):
        put = await wire.put("/data/k", body_of(LARGE), headers)
        listed = await wire.get("/data")
        seen = {
            put.etag,
            (await wire.get("/data/k", headers)).etag,
            (await wire.get("/data/k", {**headers, "range": "bytes=0-0"})).etag,
            (await wire.inspect("/data/k", headers)).etag,
            (await wire.get("/data/k", {**headers, "if-none-match": f'"{put.etag}"'})).etag,
            str(listed.text("ETag")).strip('"'),
        }
        assert seen == {put.etag}
    assert (await wire.put("/data/k", b"abc")).etag == md5(b"abc")
