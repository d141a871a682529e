"""CopyObject from every kind of object into every mode: data, ETag, metadata, tags, raw bytes."""

from __future__ import annotations

import pytest

from tests.proxy.copy_samples import (
    METADATA,
    MODES,
    bodies_of_shape,
    check_raw,
    every_shape,
    every_source,
    every_target,
    source_key,
    write,
)
from tests.proxy.samples import (
    KEY,
    OTHER_KEY,
    state_of,
)
from tests.proxy.wire import Wire, b64, md5
from tests.store.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("small_parts")


@every_shape
@every_target
@every_source
@pytest.mark.parametrize("condition", [{}, {"if-none-match": "*"}], ids=["", "conditional"])
async def test_every_pair(
    wire: Wire,
    store: MemoryStore,
    source: str,
    target: str,
    shape: str,
    condition: dict[str, str],
) -> None:
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    bodies = bodies_of_shape(shape)
    body = b"".join(bodies)
    sent = METADATA | {"x-amz-tagging": "t=1&u=a%20b"}
    etag = await write(wire, f"/{from_bucket}/from", bodies, sent, from_key)
    headers = key | source_key(source) | condition
    copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers)
    assert (copied.status, copied.code) == (200, None)
    got = await wire.get(f"/{bucket}/to", key)
    assert (got.status, got.body) == (200, body)
    assert copied.text("ETag") == f'"{got.etag}"'
    for name, value in METADATA.items():
        assert got.headers[name] == value
    tags = await wire.get(f"/{bucket}/to", query={"tagging": ""})
    assert b"<Value>a b</Value>" in tags.body
    check_raw(store, bucket, "to", body)
    if source == target == "sse-s3":
        assert got.etag == etag  # also of one that was made of parts
    elif target in ("plain", "sse-s3"):
        assert got.etag == md5(body)
    else:
        assert got.etag not in (md5(body), etag)
    ranged = await wire.get(f"/{bucket}/to", {"range": "bytes=10-29", **key})
    assert ranged.body == body[10:30]
    for secret in (b64(KEY), b64(OTHER_KEY)):
        assert secret not in repr(store.requests)


@every_shape
@every_target
@every_source
async def test_the_stores_own_metadata_is_the_requests(
    wire: Wire, store: MemoryStore, source: str, target: str, shape: str
) -> None:
    """Storage class and website redirect are never the source's, as in S3."""
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    bodies = bodies_of_shape(shape)
    own = {"x-amz-storage-class": "STANDARD_IA", "x-amz-website-redirect-location": "/old"}
    await write(wire, f"/{from_bucket}/from", bodies, own, from_key)
    asked_for = {"x-amz-metadata-directive": "REPLACE", "x-amz-website-redirect-location": "/new"}
    headers = key | source_key(source) | asked_for
    assert (await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers)).code is None
    got = await wire.inspect(f"/{bucket}/to", key)
    assert got.headers["x-amz-website-redirect-location"] == "/new"
    assert "x-amz-storage-class" not in got.headers


class TestDirectives:
    @every_shape
    @every_target
    @every_source
    async def test_tags_replaced(
        self, wire: Wire, store: MemoryStore, source: str, target: str, shape: str
    ) -> None:
        (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
        bodies = bodies_of_shape(shape)
        await write(wire, f"/{from_bucket}/from", bodies, {"x-amz-tagging": "t=old"}, from_key)
        for tags, expected in (("t=new", {"t": "new"}), (None, {})):
            headers = key | source_key(source) | {"x-amz-tagging-directive": "REPLACE"}
            headers |= {} if tags is None else {"x-amz-tagging": tags}
            assert (await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers)).code is None
            assert store.raw(bucket, "to").tags == expected
        ignored = key | source_key(source) | {"x-amz-tagging": "t=ignored"}
        assert (await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", ignored)).code is None
        assert store.raw(bucket, "to").tags == {"t": "old"}

    @every_target
    @every_source
    @pytest.mark.parametrize("header", ["x-amz-metadata-directive", "x-amz-tagging-directive"])
    async def test_unknown_ones(
        self, wire: Wire, store: MemoryStore, source: str, target: str, header: str
    ) -> None:
        (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
        await wire.put(f"/{from_bucket}/from", b"x", from_key)
        before = state_of(store)
        headers = key | source_key(source) | {header: "MERGE"}
        copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers)
        assert (copied.status, copied.code) == (400, "InvalidArgument")
        assert copied.text("ArgumentName") == header
        assert state_of(store) == before


class TestVersions:
    @every_shape
    @every_target
    @every_source
    async def test_of_an_older_one(
        self, wire: Wire, store: MemoryStore, source: str, target: str, shape: str
    ) -> None:
        (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
        store.buckets[from_bucket].versioned = True
        bodies = bodies_of_shape(shape)
        await write(wire, f"/{from_bucket}/k", bodies, {}, from_key)
        version = (await wire.inspect(f"/{from_bucket}/k", from_key)).headers["x-amz-version-id"]
        await wire.put(f"/{from_bucket}/k", b"second", from_key)
        named = {"x-amz-copy-source": f"/{from_bucket}/k?versionId={version}"}
        copied = await wire.put(f"/{bucket}/to", b"", named | key | source_key(source))
        assert copied.code is None
        assert (await wire.get(f"/{bucket}/to", key)).body == b"".join(bodies)
        assert copied.headers["x-amz-copy-source-version-id"] == version

    async def test_of_a_delete_marker(self, wire: Wire, store: MemoryStore) -> None:
        store.buckets["data"].versioned = True
        await wire.put("/data/k", b"x")
        gone = await wire.request("DELETE", "/data/k")
        version = gone.headers["x-amz-version-id"]
        named = {"x-amz-copy-source": f"/data/k?versionId={version}"}
        copied = await wire.put("/data/to", b"", named)
        assert (copied.status, copied.code) == (400, "InvalidRequest")
        copied = await wire.copy("data/k", "/data/to")
        assert (copied.status, copied.code) == (404, "NoSuchKey")
