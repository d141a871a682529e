"""Copies onto the very object that is read."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.copy_samples import (
    METADATA,
    MODES,
    bodies_of_shape,
    every_shape,
    every_source,
    source_key,
    write,
)
from tests.proxy.samples import (
    RESERVED,
    asked,
    until,
)
from tests.proxy.wire import Wire
from tests.store.memory import Failure, MemoryStore

pytestmark = pytest.mark.usefixtures("small_parts")


@every_shape
@pytest.mark.parametrize("target", ["sse-s3", "sse-c", "sse-c-other"])
@every_source
async def test_every_pair(
    wire: Wire, store: MemoryStore, source: str, target: str, shape: str
) -> None:
    (bucket, old), (_, new) = MODES[source], MODES[target]
    bodies = bodies_of_shape(shape)
    body = b"".join(bodies)
    sent = METADATA | {"x-amz-tagging": "t=1"}
    etag = await write(wire, f"/{bucket}/k", bodies, sent, old)
    asked_for = new or {"x-amz-server-side-encryption": "AES256"}
    copied = await wire.copy(f"{bucket}/k", f"/{bucket}/k", asked_for | source_key(source))
    assert copied.code is None
    got = await wire.get(f"/{bucket}/k", new)
    assert got.body == body
    for name, value in METADATA.items():
        assert got.headers[name] == value
    assert store.raw(bucket, "k").tags == {"t": "1"}
    assert RESERVED in store.raw(bucket, "k").headers
    assert body[:16] not in store.raw(bucket, "k").data
    if source == target == "sse-s3":
        assert got.etag == etag
    if old != new and old:
        assert (await wire.get(f"/{bucket}/k", old)).status in (400, 403)


@every_shape
@pytest.mark.parametrize("source", ["sse-s3", "sse-c"])
async def test_new_metadata(wire: Wire, store: MemoryStore, source: str, shape: str) -> None:
    bucket, key = MODES[source]
    bodies = bodies_of_shape(shape)
    await write(wire, f"/{bucket}/k", bodies, METADATA, key)
    headers = {"x-amz-metadata-directive": "REPLACE", "x-amz-meta-new": "1"}
    copied = await wire.copy(f"{bucket}/k", f"/{bucket}/k", headers | key | source_key(source))
    assert copied.code is None
    got = await wire.get(f"/{bucket}/k", key)
    assert (got.body, got.headers["x-amz-meta-new"]) == (b"".join(bodies), "1")
    assert "x-amz-meta-a" not in got.headers
    assert "cache-control" not in got.headers


async def test_by_the_version_null(wire: Wire, store: MemoryStore) -> None:
    """It is the object itself: a write in between must not be lost."""
    await wire.put("/data/k", b"first")
    gate = asyncio.Event()
    store.requests.clear()
    store.fail(Failure(method="PUT", key="k", gate=gate))
    named = {"x-amz-copy-source": "/data/k?versionId=null"}
    slow = asyncio.create_task(wire.put("/data/k", b"", named))
    await until(lambda: asked(store, "PUT") == 1)
    assert "x-amz-copy-source" not in store.requests[-1].headers  # that would not be atomic
    assert (await wire.put("/data/k", b"theirs")).status == 200
    gate.set()
    assert (await slow).code is None  # begun anew, with what it finds now
    assert (await wire.get("/data/k")).body == b"theirs"
