"""CopyObject of objects that were made by multipart uploads."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.copy_samples import (
    ALGORITHM,
    CRC32,
    ENABLED,
    MODES,
    bodies_of_shape,
    every_target,
    source_key,
    write,
)
from tests.proxy.samples import KEY, SMALL, asked, body_of, until
from tests.proxy.wire import Wire, customer
from tests.store.memory import Failure, MemoryStore

pytestmark = pytest.mark.usefixtures("small_parts")


async def test_between_sse_s3_the_data_stays_in_the_store(wire: Wire, store: MemoryStore) -> None:
    bodies = bodies_of_shape("multipart")
    checked = {ALGORITHM: "CRC32"}
    await write(wire, "/data/from", bodies, checked, {})
    was = await wire.inspect("/data/from", ENABLED)
    store.requests.clear()
    assert (await wire.copy("data/from", "/other/to")).code is None
    of_data = [each for each in store.requests if each.bucket != "sseproxy-system"]
    assert [(each.method, each.bucket) for each in of_data] == [
        ("GET", "data"),
        ("PUT", "other"),
    ]
    assert of_data[1].headers["x-amz-copy-source"] == "/data/from"
    assert store.raw("other", "to").data == store.raw("data", "from").data
    now = await wire.inspect("/other/to", ENABLED)
    assert now.etag == was.etag
    assert now.headers[CRC32] == was.headers[CRC32]
    assert now.headers["x-amz-checksum-type"] == "COMPOSITE"
    for number, body in enumerate(bodies, 1):
        part = await wire.get("/other/to", query={"partNumber": str(number)})
        assert (part.status, part.body) == (206, body)
        assert part.headers["x-amz-mp-parts-count"] == "3"


async def test_it_does_not_need_the_source_any_more(wire: Wire, store: MemoryStore) -> None:
    bodies = bodies_of_shape("multipart")
    await write(wire, "/data/from", bodies, {}, {})
    before = set(store.buckets["sseproxy-system"].versions)
    await wire.copy("data/from", "/data/to")
    (own,) = set(store.buckets["sseproxy-system"].versions) - before
    for name in before:
        if name.startswith("m/"):
            del store.buckets["sseproxy-system"].versions[name]
    wire.proxy.services.manifests._known.clear()
    wire.proxy.services.cache._entries.clear()
    assert own.startswith("m/")
    assert (await wire.get("/data/to")).body == b"".join(bodies)
    assert (await wire.get("/data/from")).status == 500


async def test_its_manifest_is_there_before_it(wire: Wire, store: MemoryStore) -> None:
    await write(wire, "/data/from", bodies_of_shape("multipart"), {}, {})
    store.requests.clear()
    await wire.copy("data/from", "/data/to")
    writes = [(each.bucket, each.key) for each in store.requests if each.method == "PUT"]
    assert [bucket for bucket, _ in writes] == ["sseproxy-system", "data"]


async def test_no_manifest_no_copy(wire: Wire, store: MemoryStore) -> None:
    await write(wire, "/data/from", bodies_of_shape("multipart"), {}, {})
    system = store.buckets["sseproxy-system"].versions
    for name in [each for each in system if each.startswith("m/")]:
        del system[name]
    wire.proxy.services.manifests._known.clear()
    for bucket, headers in (("data", {}), ("plain", {}), ("data", customer(KEY))):
        copied = await wire.copy("data/from", f"/{bucket}/to", headers)
        assert (copied.status, copied.code) == (500, "InternalError")
        assert "to" not in store.keys(bucket)


async def test_without_its_manifest_nothing_is_stored(wire: Wire, store: MemoryStore) -> None:
    """The store fails where the copy's own manifest is written: no object names none."""
    await write(wire, "/data/from", bodies_of_shape("multipart"), {}, {})
    store.fail(Failure(method="PUT", status=503))
    copied = await wire.copy("data/from", "/data/to")
    assert copied.status == 503
    assert store.keys("data") == ["from"]


@every_target
async def test_cut_short(wire: Wire, store: MemoryStore, target: str) -> None:
    bucket, key = MODES[target]
    await write(wire, "/data/from", bodies_of_shape("multipart"), {}, {})
    raw = store.raw("data", "from")
    raw.data = raw.data[: raw.part_sizes[0] + raw.part_sizes[1]]
    copied = await wire.copy("data/from", f"/{bucket}/to", key)
    assert (copied.status, copied.code) == (500, "InternalError")
    assert "to" not in store.keys(bucket)


@every_target
async def test_altered(wire: Wire, store: MemoryStore, target: str) -> None:
    """Streamed, a copy of altered data fails; copied by the store, it does when it is read."""
    bucket, key = MODES[target]
    await write(wire, "/data/from", bodies_of_shape("multipart"), {}, {})
    raw = store.raw("data", "from")
    raw.data = raw.data[:-1] + bytes([raw.data[-1] ^ 1])
    copied = await wire.copy("data/from", f"/{bucket}/to", key)
    if target == "sse-s3":
        assert (await wire.get("/data/to", {"range": "bytes=-1"})).status == 500
    else:
        assert (copied.status, copied.code) == (500, "InternalError")
        assert "to" not in store.keys(bucket)


@pytest.mark.parametrize("source", ["plain", "sse-s3", "sse-c"])
async def test_onto_one_only_if_it_is_that_one(wire: Wire, store: MemoryStore, source: str) -> None:
    """The condition names the client's ETag of an object that was made of parts."""
    bucket, key = MODES[source]
    await wire.put(f"/{bucket}/from", b"new", key)
    etag = await write(wire, "/data/to", bodies_of_shape("multipart"), {}, {})
    headers = source_key(source)
    stale = {"if-match": '"00000000000000000000000000000000-3"'}
    refused = await wire.copy(f"{bucket}/from", "/data/to", headers | stale)
    assert (refused.status, refused.code) == (412, "PreconditionFailed")
    copied = await wire.copy(f"{bucket}/from", "/data/to", headers | {"if-match": f'"{etag}"'})
    assert copied.code is None
    assert (await wire.get("/data/to")).body == b"new"


@pytest.mark.parametrize("target", ["sse-s3", "sse-c"])
@pytest.mark.parametrize("source", ["plain", "sse-s3"])
async def test_a_source_that_changes_while_it_is_copied(
    wire: Wire, store: MemoryStore, source: str, target: str
) -> None:
    """What is read is what was looked at, else it is looked at anew: no mixture of the two."""
    (from_bucket, _), (bucket, key) = MODES[source], MODES[target]
    if source == target:
        key = key | {"if-none-match": "*"}  # so that the data comes through the proxy
    await wire.put(f"/{from_bucket}/from", body_of(SMALL), {"x-amz-meta-turn": "old"})
    gate, first = asyncio.Event(), asyncio.Event()
    first.set()
    store.requests.clear()
    store.fail(Failure(method="GET", key="from", gate=first))  # the look
    store.fail(Failure(method="GET", key="from", gate=first))  # the tags
    store.fail(Failure(method="GET", key="from", gate=gate))
    slow = asyncio.create_task(wire.copy(f"{from_bucket}/from", f"/{bucket}/to", key))
    await until(lambda: asked(store, "GET") == 3)
    await wire.put(f"/{from_bucket}/from", body_of(SMALL, seed=1), {"x-amz-meta-turn": "new"})
    gate.set()
    assert (await slow).code is None
    got = await wire.get(f"/{bucket}/to", MODES[target][1])
    assert (got.body, got.headers["x-amz-meta-turn"]) == (body_of(SMALL, seed=1), "new")
