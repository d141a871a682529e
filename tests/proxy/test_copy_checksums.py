"""The checksums of copies: asked for, carried along, answered."""

from __future__ import annotations

from base64 import b64encode
from zlib import crc32

import pytest

from tests.proxy.copy_samples import (
    ALGORITHM,
    CRC32,
    ENABLED,
    MODES,
    bodies_of_shape,
    every_shape,
    every_source,
    every_target,
    source_key,
    write,
)
from tests.proxy.samples import (
    KEY,
    LARGE,
    SMALL,
    body_of,
)
from tests.proxy.wire import Wire, crc32_b64, customer
from tests.store.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("small_parts")


@every_shape
@every_target
@every_source
@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
async def test_asked_for(
    wire: Wire,
    store: MemoryStore,
    source: str,
    target: str,
    shape: str,
    algorithm: str,
) -> None:
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    bodies = bodies_of_shape(shape)
    body = b"".join(bodies)
    await write(wire, f"/{from_bucket}/from", bodies, {}, from_key)
    headers = key | source_key(source) | {ALGORITHM: algorithm}
    copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers)
    assert copied.code is None
    if source == target == "plain":
        return  # the store's own copy, and its own checksum
    given = copied.text(f"Checksum{algorithm}")
    if algorithm == "CRC32":
        assert given == crc32_b64(body)
    else:
        assert given is not None
    assert copied.text("ChecksumType") == "FULL_OBJECT"
    if target != "plain":
        got = await wire.inspect(f"/{bucket}/to", ENABLED | key)
        assert got.headers[f"x-amz-checksum-{algorithm.lower()}"] == given
        assert got.headers["x-amz-checksum-type"] == "FULL_OBJECT"


@every_target
@pytest.mark.parametrize("source", ["sse-s3", "sse-c"])
@every_shape
async def test_carried(
    wire: Wire, store: MemoryStore, source: str, target: str, shape: str
) -> None:
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    bodies = bodies_of_shape(shape)
    whole = b"".join(bodies)
    kind = {ALGORITHM: "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
    sent = kind if len(bodies) > 1 else {CRC32: crc32_b64(whole)}
    await write(wire, f"/{from_bucket}/from", bodies, sent, from_key)
    headers = key | source_key(source)
    copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers)
    assert copied.text("ChecksumCRC32") == crc32_b64(whole)
    if target != "plain":
        got = await wire.inspect(f"/{bucket}/to", ENABLED | key)
        assert got.headers[CRC32] == crc32_b64(whole)


async def test_composite_ones(wire: Wire, store: MemoryStore) -> None:
    """Of the same parts it stays; in one piece it is computed over the whole, as S3 does."""
    bodies = bodies_of_shape("multipart")
    await write(wire, "/data/from", bodies, {ALGORITHM: "CRC32"}, {})
    digests = b"".join(crc32(body).to_bytes(4) for body in bodies)
    composite = b64encode(crc32(digests).to_bytes(4)).decode() + "-3"
    rewrapped = await wire.copy("data/from", "/data/to")
    assert rewrapped.text("ChecksumCRC32") == composite
    assert rewrapped.text("ChecksumType") == "COMPOSITE"
    for bucket, headers in (("data", customer(KEY)), ("plain", {})):
        streamed = await wire.copy("data/from", f"/{bucket}/to", headers)
        assert streamed.text("ChecksumCRC32") == crc32_b64(b"".join(bodies))
        assert streamed.text("ChecksumType") == "FULL_OBJECT"
        # A composite one would be wrong for the store: it is given as one piece.
        assert CRC32 not in store.requests[-1].headers
    asked_for = await wire.copy("data/from", "/data/to", {ALGORITHM: "CRC32"})
    assert asked_for.text("ChecksumCRC32") == crc32_b64(b"".join(bodies))


async def test_the_one_that_is_there_costs_nothing(wire: Wire, store: MemoryStore) -> None:
    body = body_of(LARGE)
    await wire.put("/data/from", body, {CRC32: crc32_b64(body)})
    store.requests.clear()
    copied = await wire.copy("data/from", "/data/to", {ALGORITHM: "crc32"})
    assert copied.text("ChecksumCRC32") == crc32_b64(body)
    assert [each.method for each in store.requests] == ["GET", "PUT"]
    assert "x-amz-copy-source" in store.requests[1].headers


async def test_unknown(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/data/from", b"x")
    for algorithm in ("CRC16", "", "CRC64ECMA"):
        copied = await wire.copy("data/from", "/data/to", {ALGORITHM: algorithm})
        assert (copied.status, copied.code) == (400, "InvalidRequest")
    assert store.keys("data") == ["from"]


async def test_plaintext_takes_its_checksum_along(wire: Wire, store: MemoryStore) -> None:
    for size in (SMALL, LARGE):
        body = body_of(size)
        await wire.put("/plain/from", body)
        store.raw("plain", "from").headers[CRC32] = crc32_b64(body)
        copied = await wire.copy("plain/from", "/data/to")
        assert copied.text("ChecksumCRC32") == crc32_b64(body)
        streamed = await wire.copy("plain/from", "/plain/to", {"if-none-match": "*"})
        assert streamed.text("ChecksumCRC32") == crc32_b64(body)
        assert store.requests[-1].headers[CRC32] == crc32_b64(body)
        del store.buckets["plain"].versions["to"]
