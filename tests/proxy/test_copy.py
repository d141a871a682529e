"""CopyObject between every pair of modes: what comes out, and what it costs."""

from __future__ import annotations

import asyncio

import pytest

from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from tests.proxy.conftest import Serve
from tests.proxy.samples import (
    KEY,
    LARGE,
    OTHER_KEY,
    RESERVED,
    SMALL,
    asked,
    body_of,
    state_of,
    until,
)
from tests.proxy.wire import Wire, b64, crc32_b64, customer, md5
from tests.store.memory import Failure, MemoryStore

# How an object comes to be of a mode: bucket and headers of its write.
MODES = {
    "plain": ("plain", {}),
    "sse-s3": ("data", {}),
    "sse-c": ("data", customer(KEY)),
    "sse-c-other": ("data", customer(OTHER_KEY)),
}


def source_headers(mode: str) -> dict[str, str]:
    keys = {"sse-c": KEY, "sse-c-other": OTHER_KEY}
    return customer(keys[mode], copy_source=True) if mode in keys else {}


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
@pytest.mark.parametrize("target", MODES)
@pytest.mark.parametrize("source", MODES)
async def test_every_direction(
    wire: Wire, store: MemoryStore, source: str, target: str, size: int
) -> None:
    body = body_of(size)
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    sent = {
        "content-type": "text/csv",
        "x-amz-meta-a": "b",
        "x-amz-checksum-crc32": crc32_b64(body),
    }
    put = await wire.put(f"/{from_bucket}/from", body, sent | from_key)
    copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", key | source_headers(source))
    assert (copied.status, copied.code) == (200, None)
    got = await wire.get(f"/{bucket}/to", key)
    assert (got.status, got.body) == (200, body)
    assert got.headers["content-type"] == "text/csv"
    assert got.headers["x-amz-meta-a"] == "b"
    assert copied.text("ETag") == f'"{got.etag}"'
    assert str(copied.text("LastModified")).endswith("Z")
    if target in ("plain", "sse-s3"):
        assert got.etag == md5(body)
    else:
        assert got.etag not in (md5(body), put.etag)
    raw = store.raw(bucket, "to")
    assert (RESERVED in raw.headers) == (target != "plain")
    if target == "plain":
        assert raw.data == body
    elif size:
        assert body[:16] not in raw.data
        assert body[-16:] not in raw.data
        ranged = await wire.get(f"/{bucket}/to", {"range": "bytes=5-20", **key})
        assert ranged.body == body[5:21]
    if target == "sse-s3" or key:
        asked = {"x-amz-checksum-mode": "ENABLED", **key}
        again = (await wire.get(f"/{bucket}/to", asked)).headers.get("x-amz-checksum-crc32")
        assert source == "plain" or again == crc32_b64(body)
    for secret in (b64(KEY), b64(OTHER_KEY)):
        assert secret not in repr(store.requests)


class TestCost:
    async def test_between_sse_s3_the_data_stays_in_the_store(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        for size in (SMALL, LARGE):
            body = body_of(size)
            await wire.put("/data/from", body)
            store.requests.clear()
            await wire.copy("data/from", "/other/to", {"x-amz-server-side-encryption": "AES256"})
            look, copy = store.requests
            assert (look.method, look.headers["range"]) == ("GET", "bytes=-256")
            assert copy.headers["x-amz-copy-source"] == "/data/from"
            etag = store.raw("data", "from").etag
            assert copy.headers["x-amz-copy-source-if-match"] == f'"{etag}"'
            old, new = store.raw("data", "from"), store.raw("other", "to")
            assert new.data == old.data
            assert new.headers[RESERVED] != old.headers[RESERVED]
            assert (await wire.get("/other/to")).body == body

    async def test_between_plaintexts_the_store_copies(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/plain/from", body_of(LARGE))
        store.requests.clear()
        await wire.copy("plain/from", "/plain/to")
        assert [request.method for request in store.requests] == ["GET", "PUT"]
        assert store.requests[0].headers["range"] == "bytes=-256"
        assert "x-amz-copy-source" in store.requests[1].headers

    async def test_the_envelope_is_of_the_new_name(self, wire: Wire, store: MemoryStore) -> None:
        """The old envelope on the copy, or the copy's on the old, opens neither."""
        await wire.put("/data/from", body_of(SMALL))
        await wire.copy("data/from", "/data/to")
        old, new = store.raw("data", "from"), store.raw("data", "to")
        old.headers, new.headers = new.headers, old.headers
        for key in ("from", "to"):
            got = await wire.get(f"/data/{key}")
            assert (got.status, got.code) == (500, "InternalError")


class TestMetadata:
    @pytest.mark.parametrize("target", MODES)
    @pytest.mark.parametrize("source", MODES)
    async def test_replaced(self, wire: Wire, store: MemoryStore, source: str, target: str) -> None:
        (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
        sent = {"content-type": "text/csv", "cache-control": "no-store", "x-amz-meta-a": "old"}
        await wire.put(f"/{from_bucket}/from", body_of(SMALL), sent | from_key)
        asked = {
            "x-amz-metadata-directive": "REPLACE",
            "content-type": "text/html",
            "x-amz-meta-b": "new",
        }
        headers = asked | key | source_headers(source)
        copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers)
        assert copied.code is None
        got = await wire.get(f"/{bucket}/to", key)
        assert got.body == body_of(SMALL)
        assert got.headers["content-type"] == "text/html"
        assert got.headers["x-amz-meta-b"] == "new"
        assert "x-amz-meta-a" not in got.headers
        assert "cache-control" not in got.headers

    @pytest.mark.parametrize("target", MODES)
    async def test_not_replaced_unless_asked(self, wire: Wire, target: str) -> None:
        bucket, key = MODES[target]
        await wire.put("/data/from", b"x", {"x-amz-meta-a": "old"})
        await wire.copy("data/from", f"/{bucket}/to", {"x-amz-meta-a": "ignored", **key})
        assert (await wire.get(f"/{bucket}/to", key)).headers["x-amz-meta-a"] == "old"

    async def test_an_unknown_directive(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/from", b"x")
        copied = await wire.copy("data/from", "/data/to", {"x-amz-metadata-directive": "MERGE"})
        assert (copied.status, copied.code) == (400, "InvalidArgument")
        assert store.keys("data") == ["from"]

    async def test_the_reserved_one_can_not_be_set(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/from", b"x")
        for directive in ("COPY", "REPLACE"):
            headers = {"x-amz-metadata-directive": directive, RESERVED: "AQ"}
            copied = await wire.copy("data/from", "/data/to", headers)
            assert (copied.status, copied.code) == (400, "InvalidArgument")
        assert store.keys("data") == ["from"]


class TestOntoItself:
    async def test_without_a_change_is_illegal(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", body_of(SMALL))
        await wire.put("/plain/k", body_of(SMALL))
        before = state_of(store)
        for bucket in ("data", "plain"):
            copied = await wire.copy(f"{bucket}/k", f"/{bucket}/k")
            assert (copied.status, copied.code) == (400, "InvalidRequest")
        assert state_of(store) == before

    @pytest.mark.parametrize("target", ["sse-s3", "sse-c", "sse-c-other"])
    @pytest.mark.parametrize("source", ["sse-s3", "sse-c"])
    @pytest.mark.parametrize("size", [0, SMALL, LARGE])
    async def test_to_another_mode_or_key(
        self, wire: Wire, source: str, target: str, size: int
    ) -> None:
        body, (_, old), (_, new) = body_of(size), MODES[source], MODES[target]
        await wire.put("/data/k", body, {**old, "x-amz-meta-a": "b"})
        asked = new or {"x-amz-server-side-encryption": "AES256"}
        copied = await wire.copy("data/k", "/data/k", asked | source_headers(source))
        assert copied.code is None
        got = await wire.get("/data/k", new)
        assert (got.body, got.headers["x-amz-meta-a"]) == (body, "b")
        if old and old != new:
            assert (await wire.get("/data/k", old)).status in (400, 403)

    async def test_plaintext_becomes_encrypted(self, wire: Wire, store: MemoryStore) -> None:
        body = body_of(LARGE)
        await wire.put("/plain/k", body)
        copied = await wire.copy("plain/k", "/plain/k", {"x-amz-server-side-encryption": "AES256"})
        assert copied.code is None
        assert body[:16] not in store.raw("plain", "k").data
        assert (await wire.get("/plain/k")).body == body

    async def test_new_metadata(self, wire: Wire) -> None:
        for size in (SMALL, LARGE):
            await wire.put("/data/k", body_of(size), {"x-amz-meta-a": "old"})
            headers = {"x-amz-metadata-directive": "REPLACE", "x-amz-meta-a": "new"}
            assert (await wire.copy("data/k", "/data/k", headers)).code is None
            got = await wire.get("/data/k")
            assert (got.body, got.headers["x-amz-meta-a"]) == (body_of(size), "new")

    async def test_an_acknowledged_write_in_between_is_never_lost(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/data/k", b"first")
        store.requests.clear()
        gate = asyncio.Event()
        store.fail(Failure(method="PUT", key="k", gate=gate))
        headers = {"x-amz-metadata-directive": "REPLACE", "x-amz-meta-turn": "copy"}
        slow = asyncio.create_task(wire.copy("data/k", "/data/k", headers))
        await until(lambda: asked(store, "PUT") == 1)
        assert (await wire.put("/data/k", b"theirs")).status == 200
        gate.set()
        assert (await slow).code is None
        got = await wire.get("/data/k")
        assert (got.body, got.headers["x-amz-meta-turn"]) == (b"theirs", "copy")


async def test_the_source_changes_between_look_and_read(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/data/from", body_of(SMALL))
    store.requests.clear()
    gate, open_gate = asyncio.Event(), asyncio.Event()
    open_gate.set()
    store.fail(Failure(method="GET", key="from", gate=open_gate))
    store.fail(Failure(method="GET", key="from", gate=gate))
    slow = asyncio.create_task(wire.copy("data/from", "/plain/to"))
    await until(lambda: asked(store, "GET") == 2)
    await wire.put("/data/from", b"another")
    gate.set()
    answer = await slow
    assert answer.status in (200, 503)
    if answer.code is None:
        assert store.raw("plain", "to").data in (body_of(SMALL), b"another")
    else:
        assert store.keys("plain") == []


async def test_odd_names(wire: Wire) -> None:
    for index, key in enumerate(["a b+c", "ü/😀", "%2F%", "a//b", "q?x=1#y"]):
        await wire.put(f"/data/{key}", key.encode())
        for bucket, headers in (("data", {}), ("plain", {}), ("data", customer(KEY))):
            to = f"/{bucket}/to-{index}"
            assert (await wire.copy(f"/data/{key}", to, headers)).code is None
            assert (await wire.get(to, headers)).body == key.encode()


async def test_of_a_version(wire: Wire, store: MemoryStore) -> None:
    store.buckets["data"].versioned = True
    first = await wire.put("/data/k", b"first")
    version = first.headers["x-amz-version-id"]
    await wire.put("/data/k", b"second")
    for bucket in ("other", "plain", "data"):
        named = {"x-amz-copy-source": f"/data/k?versionId={version}"}
        copied = await wire.put(f"/{bucket}/k", b"", named)
        assert copied.code is None
        assert (await wire.get(f"/{bucket}/k")).body == b"first"


async def test_a_bucket_that_only_serves_encrypted_objects(
    serve: Serve, store: MemoryStore
) -> None:
    strict = BucketPolicy(SseMode.SSE_COS, require_encryption_reads=True)
    wire = await serve(buckets={"plain": BucketPolicy(), "data": strict})
    await wire.put("/plain/k", b"laid there by the store")
    store.buckets["data"].versions["k"] = [store.raw("plain", "k")]
    copied = await wire.copy("data/k", "/plain/to")
    assert copied.status == 500
    assert store.keys("plain") == ["k"]


async def test_two_sources(wire: Wire, store: MemoryStore) -> None:
    """Whichever the store would take, the other one was checked."""
    await wire.put("/data/source", body_of(SMALL))
    store.requests.clear()
    sources = {"x-amz-copy-source": "/data/source", "x-cos-copy-source": "/data/other"}
    answer = await wire.request("PUT", "/data/target", headers=sources)
    assert answer.status in (400, 501), answer.body
    assert not [asked for asked in store.requests if asked.method == "PUT"]
