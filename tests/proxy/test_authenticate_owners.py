"""The owner that a client expects reaches the store with every request made on its behalf."""

from __future__ import annotations

import pytest

from sseproxy.proxy.owners import OWNER, SOURCE_OWNER
from tests.proxy.samples import KEY, LARGE, SMALL, body_of
from tests.proxy.wire import Wire, customer
from tests.store.memory import MemoryStore

OURS, THEIRS = "111111111111", "222222222222"
READS = {
    "whole": ("GET", {}, {}),
    "range": ("GET", {"range": "bytes=5-9"}, {}),
    "condition": ("GET", {"if-match": "*"}, {}),
    "head": ("HEAD", {}, {}),
    "attributes": ("GET", {"x-amz-object-attributes": "ETag,ObjectSize"}, {"attributes": ""}),
    "part": ("GET", {}, {"partNumber": "1"}),
}


def owners_of(store: MemoryStore, bucket: str) -> set[str | None]:
    """What the requests about a bucket said of its owner."""
    return {asked.headers.get(OWNER) for asked in store.requests if asked.bucket == bucket}


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("bucket", ["data", "plain"])
async def test_every_read(
    wire: Wire, store: MemoryStore, bucket: str, read: str, size: int
) -> None:
    await wire.put(f"/{bucket}/k", body_of(size))
    method, headers, query = READS[read]
    for _ in range(2):  # with nothing cached, and with everything
        store.requests.clear()
        sent = headers | {OWNER: OURS}
        await wire.request(method, f"/{bucket}/k", b"", sent, query=query)
        assert owners_of(store, bucket) == {OURS}
    store.requests.clear()
    await wire.request(method, f"/{bucket}/k", b"", headers, query=query)
    assert owners_of(store, bucket) == {None}


async def test_writes_listings_and_what_is_answered_here(wire: Wire, store: MemoryStore) -> None:
    owner = {OWNER: OURS}
    await wire.put("/data/k", body_of(LARGE), owner)
    await wire.put("/data/k", body_of(SMALL), owner | {"if-none-match": "*"})
    await wire.request("DELETE", "/data/other", b"", owner | {"if-match": '"0"'})
    await wire.get("/data", owner, query={"list-type": "2"})
    await wire.get("/data", owner, query={"encryption": ""})
    await wire.get("/data", owner, query={"location": ""})
    assert owners_of(store, "data") == {OURS}


@pytest.mark.parametrize("key", [{}, customer(KEY)], ids=["by the store", "streamed"])
async def test_copies_name_both_owners(wire: Wire, store: MemoryStore, key: dict[str, str]) -> None:
    await wire.put("/data/from", body_of(LARGE))
    store.requests.clear()
    headers = key | {OWNER: THEIRS, SOURCE_OWNER: OURS}
    assert (await wire.copy("data/from", "/other/to", headers)).code is None
    assert owners_of(store, "data") == {OURS}
    assert owners_of(store, "other") == {THEIRS}
    sources = {SOURCE_OWNER in asked.headers for asked in store.requests if asked.method == "PUT"}
    copied = {"x-amz-copy-source" in a.headers for a in store.requests if a.method == "PUT"}
    assert sources == copied == {not key}


async def test_the_owner_of_the_target_says_nothing_of_the_source(
    wire: Wire, store: MemoryStore
) -> None:
    await wire.put("/data/from", body_of(SMALL))
    store.requests.clear()
    await wire.copy("data/from", "/other/to", {OWNER: THEIRS})
    assert (owners_of(store, "data"), owners_of(store, "other")) == ({None}, {THEIRS})


async def test_two_owners_of_one_bucket(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/data/from", body_of(SMALL))
    store.requests.clear()
    refused = await wire.copy("data/from", "/data/to", {OWNER: THEIRS, SOURCE_OWNER: OURS})
    assert (refused.status, refused.code) == (403, "AccessDenied")
    assert store.requests == []
    same = {OWNER: OURS, SOURCE_OWNER: OURS}
    assert (await wire.copy("data/from", "/data/to", same)).code is None
    assert owners_of(store, "data") == {OURS}


async def test_a_source_owner_without_a_source_is_nothing(wire: Wire, store: MemoryStore) -> None:
    assert (await wire.put("/data/k", b"x", {SOURCE_OWNER: OURS})).status == 200
    assert all(SOURCE_OWNER not in asked.headers for asked in store.requests)
    assert owners_of(store, "data") == {None}


async def test_services_of_other_requests_are_untouched(wire: Wire) -> None:
    before = wire.proxy.services.store
    await wire.put("/data/k", b"x", {OWNER: OURS})
    assert wire.proxy.services.store is before
