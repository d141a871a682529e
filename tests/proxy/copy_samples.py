"""Objects of every kind to copy from, written through the proxy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import pytest

from tests.proxy.samples import KEY, LARGE, OTHER_KEY, RESERVED, SMALL, body_of
from tests.proxy.wire import Answer, Wire, crc32_b64, customer
from tests.store.memory import MemoryStore

# How an object comes to be of a mode: bucket and headers of its write.
MODES = {
    "plain": ("plain", {}),
    "sse-s3": ("data", {}),
    "sse-c": ("data", customer(KEY)),
    "sse-c-other": ("data", customer(OTHER_KEY)),
}
# ... and of a shape: the sizes of its parts. One part is a single PUT.
SHAPES = {"small": [SMALL], "large": [LARGE], "multipart": [LARGE, 70_000, 5]}
every_shape = pytest.mark.parametrize("shape", SHAPES)
every_source = pytest.mark.parametrize("source", ["plain", "sse-s3", "sse-c"])
every_target = pytest.mark.parametrize("target", MODES)

ENABLED = {"x-amz-checksum-mode": "ENABLED"}
ALGORITHM, CRC32 = "x-amz-checksum-algorithm", "x-amz-checksum-crc32"
METADATA = {
    "content-type": "text/csv",
    "cache-control": "no-store",
    "content-disposition": "attachment",
    "content-language": "de",
    "expires": "Thu, 01 Jan 2099 00:00:00 GMT",
    "x-amz-meta-a": "b",
}


def source_key(mode: str) -> dict[str, str]:
    """The headers that a copy from an object of this mode needs."""
    keys = {"sse-c": KEY, "sse-c-other": OTHER_KEY}
    return customer(keys[mode], copy_source=True) if mode in keys else {}


def bodies_of_shape(shape: str) -> list[bytes]:
    return [body_of(size, seed=index) for index, size in enumerate(SHAPES[shape])]


async def create(wire: Wire, path: str, headers: dict[str, str] | None = None) -> str:
    """A multipart upload; its id."""
    answer = await wire.request("POST", path, b"", headers or {}, query={"uploads": ""})
    assert answer.status == 200, answer.body
    return str(answer.text("UploadId"))


async def complete(
    wire: Wire,
    path: str,
    upload: str,
    etags: Sequence[str],
    key: dict[str, str] | None = None,
    crc32s: Sequence[str | None] = (),
) -> Answer:
    """CompleteMultipartUpload of the parts 1, 2, ... with what their uploads were answered."""
    listed = ""
    for number, (etag, crc32) in enumerate(zip_longest(etags, crc32s), 1):
        checksum = f"<ChecksumCRC32>{crc32}</ChecksumCRC32>" if crc32 else ""
        listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{checksum}</Part>"
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    return await wire.request("POST", path, body, key or {}, query={"uploadId": upload})


async def write(
    wire: Wire,
    path: str,
    bodies: Sequence[bytes],
    headers: dict[str, str],
    key: dict[str, str],
) -> str:
    """Write an object of these parts (fixture `small_parts`); its ETag."""
    if len(bodies) == 1:
        put = await wire.put(path, bodies[0], headers | key)
        assert put.status == 200, put.body
        return put.etag
    upload = await create(wire, path, headers | key)
    etags, crc32s = [], []
    for number, body in enumerate(bodies, 1):
        query = {"partNumber": str(number), "uploadId": upload}
        sent = dict(key)
        if headers.get("x-amz-checksum-algorithm") == "CRC32":
            sent["x-amz-checksum-crc32"] = crc32_b64(body)
        part = await wire.request("PUT", path, body, sent, query=query)
        assert part.status == 200, part.body
        etags.append(part.headers["etag"])
        crc32s.append(part.headers.get("x-amz-checksum-crc32"))
    done = await complete(wire, path, upload, etags, key, crc32s)
    assert done.code is None
    return str(done.text("ETag")).strip('"')


def check_raw(store: MemoryStore, bucket: str, key: str, body: bytes) -> None:
    """What lies in the store is the plaintext where it may be, and nothing of it elsewhere."""
    raw = store.raw(bucket, key)
    assert (RESERVED in raw.headers) == (bucket != "plain")
    if bucket == "plain":
        assert raw.data == body
        return
    for place in range(0, len(body) - 16, 40_000):
        assert body[place : place + 16] not in raw.data
    assert body[-16:] not in raw.data or len(body) < 16
