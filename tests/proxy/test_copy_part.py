"""UploadPartCopy: from every kind of object, or a range of it, into uploads of every mode."""

from __future__ import annotations

import pytest

from sseproxy.proxy.copy_part import parse_copy_range
from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.faults import S3Error
from sseproxy.s3.sse import SseMode
from tests.proxy.conftest import BUCKETS, Serve
from tests.proxy.copy_samples import (
    ALGORITHM,
    CRC32,
    ENABLED,
    MODES,
    bodies_of_shape,
    check_raw,
    complete,
    create,
    every_shape,
    every_source,
    every_target,
    source_key,
    write,
)
from tests.proxy.samples import KEY, LARGE, OTHER_KEY, SMALL, body_of
from tests.proxy.wire import Answer, Wire, crc32_b64, customer, md5
from tests.store.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("small_parts")

RANGE = "x-amz-copy-source-range"
NONE = '"00000000000000000000000000000000"'
PAST, FUTURE = "Thu, 01 Jan 2015 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"


async def part_copy(
    wire: Wire,
    source: str,
    path: str,
    upload: str,
    number: int,
    headers: dict[str, str],
    **extra,
) -> Answer:
    query = {"partNumber": str(number), "uploadId": upload}
    return await wire.copy(source, path, headers, query=query, **extra)


async def parts_of(wire: Wire, path: str, upload: str, key: dict[str, str]) -> bytes:
    return (await wire.get(path, key, query={"uploadId": upload})).body


@every_shape
@every_target
@every_source
async def test_every_pair(
    wire: Wire, store: MemoryStore, source: str, target: str, shape: str
) -> None:
    """A part from a whole object, one from a range of it, and one that was uploaded."""
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    bodies = bodies_of_shape(shape)
    body, uploaded = b"".join(bodies), body_of(500, seed=99)
    await write(wire, f"/{from_bucket}/from", bodies, {"x-amz-meta-a": "source"}, from_key)
    upload = await create(wire, f"/{bucket}/to", {"x-amz-meta-a": "own", **key})
    headers = key | source_key(source)
    first, last = len(body) // 3, len(body) - 2
    etags = []
    for number, extra in ((1, {}), (2, {RANGE: f"bytes={first}-{last}"})):
        copied = await part_copy(
            wire, f"{from_bucket}/from", f"/{bucket}/to", upload, number, headers | extra
        )
        assert (copied.status, copied.code) == (200, None), copied.body
        assert str(copied.text("LastModified")).endswith("Z")
        assert copied.body.count(b"CopyPartResult") == 2
        etags.append(str(copied.text("ETag")))
        if key:
            name = "x-amz-server-side-encryption-customer-key-md5"
            assert copied.headers[name] == key[name]
        elif target == "sse-s3":
            assert copied.headers["x-amz-server-side-encryption"] == "AES256"
    query = {"partNumber": "3", "uploadId": upload}
    put = await wire.request("PUT", f"/{bucket}/to", uploaded, key, query=query)
    whole = [body, body[first : last + 1], uploaded]
    for etag, part in zip(etags, whole, strict=False):
        assert (etag.strip('"') == md5(part)) == (target in ("plain", "sse-s3"))
    done = await complete(wire, f"/{bucket}/to", upload, [*etags, put.headers["etag"]], key)
    assert done.code is None, done.body
    got = await wire.get(f"/{bucket}/to", key)
    assert (got.status, got.body) == (200, b"".join(whole))
    assert got.headers["x-amz-meta-a"] == "own"
    check_raw(store, bucket, "to", got.body)


async def test_plain_to_plain_is_the_stores_copy(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/plain/from", body_of(LARGE))
    upload = await create(wire, "/plain/to")
    store.requests.clear()
    headers = {RANGE: "bytes=5-9"}
    copied = await part_copy(wire, "plain/from", "/plain/to", upload, 1, headers)
    assert copied.code is None
    sent = [each for each in store.requests if each.bucket == "plain"]
    assert [(each.method, each.key) for each in sent] == [("GET", "from"), ("PUT", "to")]
    etag = store.raw("plain", "from").etag
    assert sent[1].headers["x-amz-copy-source-if-match"] == f'"{etag}"'
    assert sent[1].headers[RANGE] == "bytes=5-9"


async def test_only_the_range_is_read(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/data/from", body_of(LARGE))
    upload = await create(wire, "/data/to")
    store.requests.clear()
    headers = {RANGE: "bytes=65536-131071"}
    assert (await part_copy(wire, "data/from", "/data/to", upload, 1, headers)).code is None
    reads = [e for e in store.requests if e.method == "GET" and e.key == "from"]
    assert [each.headers["range"] for each in reads] == ["bytes=-256", "bytes=65616-131167"]


async def test_a_part_uploaded_again(wire: Wire, store: MemoryStore) -> None:
    """Fresh salts: equal plaintexts never give equal bytes."""
    await wire.put("/data/from", body_of(SMALL))
    upload = await create(wire, "/data/to")
    seen = set()
    for _ in range(2):
        await part_copy(wire, "data/from", "/data/to", upload, 1, {})
        (stored,) = store.buckets["data"].uploads.values()
        seen.add(stored.parts[1].data)
    assert len(seen) == 2


class TestRanges:
    @pytest.mark.parametrize(
        ("value", "size", "span"),
        [
            (None, 0, None),
            (None, 10, None),
            ("bytes=0-0", 1, (0, 1)),
            ("bytes=0-9", 10, (0, 10)),
            ("bytes=3-5", 10, (3, 6)),
            ("bytes=9-9", 10, (9, 10)),
        ],
    )
    def test_good(self, value: str | None, size: int, span: tuple[int, int] | None) -> None:
        assert parse_copy_range(value, size) == span

    @pytest.mark.parametrize(
        "value",
        [
            *("", "bytes", "bytes=", "bytes=-", "bytes=1-", "bytes=-1", "bytes=0-1,2-3"),
            *("0-1", "bytes=2-1", "bytes= 0-1", "bytes=a-b", "bytes=0-1 ", "items=0-1"),
            *("bytes=0-10", "bytes=10-10", "bytes=0-99999999999999999999", "bytes=\u0661-\u0662"),
        ],
    )
    def test_bad(self, value: str) -> None:
        with pytest.raises(S3Error) as caught:
            parse_copy_range(value, 10)
        assert (caught.value.status, caught.value.code) == (400, "InvalidArgument")
        assert caught.value.fields["ArgumentName"] == RANGE

    @every_target
    @every_source
    async def test_refused(self, wire: Wire, store: MemoryStore, source: str, target: str) -> None:
        (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
        await wire.put(f"/{from_bucket}/from", body_of(SMALL), from_key)
        upload = await create(wire, f"/{bucket}/to", key)
        for value in ("bytes=0-", "bytes=5-4", f"bytes=0-{SMALL}", f"bytes={SMALL}-{SMALL}"):
            headers = key | source_key(source) | {RANGE: value}
            copied = await part_copy(
                wire, f"{from_bucket}/from", f"/{bucket}/to", upload, 1, headers
            )
            assert (copied.status, copied.code) == (400, "InvalidArgument"), value
        assert b"<Part>" not in await parts_of(wire, f"/{bucket}/to", upload, key)

    @every_target
    @every_source
    async def test_an_empty_source(
        self, wire: Wire, store: MemoryStore, source: str, target: str
    ) -> None:
        (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
        await wire.put(f"/{from_bucket}/from", b"", from_key)
        upload = await create(wire, f"/{bucket}/to", key)
        headers = key | source_key(source)
        copied = await part_copy(wire, f"{from_bucket}/from", f"/{bucket}/to", upload, 1, headers)
        assert copied.code is None
        etag = str(copied.text("ETag"))
        assert (await complete(wire, f"/{bucket}/to", upload, [etag], key)).code is None
        assert (await wire.get(f"/{bucket}/to", key)).body == b""


@every_target
@every_source
async def test_conditions_on_the_source(
    wire: Wire, store: MemoryStore, source: str, target: str
) -> None:
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    put = await wire.put(f"/{from_bucket}/from", body_of(SMALL), from_key)
    upload = await create(wire, f"/{bucket}/to", key)
    etag, prefix, headers = f'"{put.etag}"', "x-amz-copy-source-if", key | source_key(source)
    for condition, status in (
        ({f"{prefix}-match": NONE}, 412),
        ({f"{prefix}-none-match": etag}, 412),
        ({f"{prefix}-modified-since": FUTURE}, 412),
        ({f"{prefix}-unmodified-since": PAST}, 412),
        ({f"{prefix}-match": etag}, 200),
        ({f"{prefix}-match": etag, f"{prefix}-unmodified-since": PAST}, 200),
        ({f"{prefix}-none-match": NONE}, 200),
    ):
        copied = await part_copy(
            wire, f"{from_bucket}/from", f"/{bucket}/to", upload, 1, headers | condition
        )
        assert copied.status == status, condition
        assert copied.code == ("PreconditionFailed" if status == 412 else None)


@every_target
@every_source
async def test_of_a_version(wire: Wire, store: MemoryStore, source: str, target: str) -> None:
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    upload = await create(wire, f"/{bucket}/to", key)
    store.buckets[from_bucket].versioned = True
    first = await wire.put(f"/{from_bucket}/k", b"first", from_key)
    version = first.headers["x-amz-version-id"]
    await wire.put(f"/{from_bucket}/k", b"second", from_key)
    query = {"partNumber": "1", "uploadId": upload}
    named = {"x-amz-copy-source": f"/{from_bucket}/k?versionId={version}"}
    headers = named | key | source_key(source)
    copied = await wire.request("PUT", f"/{bucket}/to", b"", headers, query=query)
    assert copied.code is None
    assert copied.headers["x-amz-copy-source-version-id"] == version
    done = await complete(wire, f"/{bucket}/to", upload, [str(copied.text("ETag"))], key)
    assert done.code is None
    assert (await wire.get(f"/{bucket}/to", key)).body == b"first"


@pytest.mark.parametrize("target", ["plain", "sse-s3", "sse-c"])
@pytest.mark.parametrize("source", ["sse-s3", "sse-c"])
async def test_checksums(wire: Wire, store: MemoryStore, source: str, target: str) -> None:
    """The upload's own algorithm, computed over the part, answered, and kept."""
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    body = body_of(LARGE)
    await wire.put(f"/{from_bucket}/from", body, from_key)
    kind = {ALGORITHM: "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
    upload = await create(wire, f"/{bucket}/to", kind | key)
    headers = key | source_key(source)
    copied = await part_copy(wire, f"{from_bucket}/from", f"/{bucket}/to", upload, 1, headers)
    assert copied.text("ChecksumCRC32") == crc32_b64(body)
    assert copied.text("ChecksumType") is None
    if target == "plain":
        assert store.requests[-1].headers[CRC32] == crc32_b64(body)
        return
    done = await complete(wire, f"/{bucket}/to", upload, [str(copied.text("ETag"))], key)
    assert done.code is None
    got = await wire.inspect(f"/{bucket}/to", ENABLED | key)
    assert got.headers[CRC32] == crc32_b64(body)


class TestRefused:
    async def test_keys(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/from", b"x", customer(KEY))
        await wire.put("/data/open", b"x")
        upload = await create(wire, "/data/to", customer(KEY))
        plain = await create(wire, "/plain/to")
        theirs, ours = customer(KEY, copy_source=True), customer(KEY)
        other = customer(OTHER_KEY)
        wrong = customer(OTHER_KEY, copy_source=True)
        for path, upload_id, source, headers, status, code in (
            ("/data/to", upload, "data/from", ours, 400, "InvalidRequest"),
            ("/data/to", upload, "data/from", theirs, 400, "InvalidRequest"),
            ("/data/to", upload, "data/from", ours | wrong, 403, "AccessDenied"),
            ("/data/to", upload, "data/from", other | theirs, 400, "InvalidRequest"),
            ("/data/to", upload, "data/open", ours | theirs, 400, "InvalidRequest"),
            ("/plain/to", plain, "data/from", ours | theirs, 400, "InvalidRequest"),
            ("/plain/to", plain, "data/from", {}, 400, "InvalidRequest"),
        ):
            copied = await part_copy(wire, source, path, upload_id, 1, headers)
            assert (copied.status, copied.code) == (status, code), (path, source)
        assert b"<Part>" not in await parts_of(wire, "/data/to", upload, ours)

    async def test_what_is_not_there(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/from", b"x")
        upload = await create(wire, "/data/to")
        for source, upload_id, number, status, code in (
            ("data/none", upload, 1, 404, "NoSuchKey"),
            ("nowhere/k", upload, 1, 404, "NoSuchBucket"),
            ("sseproxy-system/keyring", upload, 1, 404, "NoSuchBucket"),
            ("data/from", "none", 1, 404, "NoSuchUpload"),
            ("data/from", upload, 0, 400, "InvalidArgument"),
            ("data/from", upload, 10001, 400, "InvalidArgument"),
        ):
            copied = await part_copy(wire, source, "/data/to", upload_id, number, {})
            assert (copied.status, copied.code) == (status, code), (source, number)

    async def test_an_upload_that_the_store_has_forgotten(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/data/from", b"x")
        await wire.put("/plain/from", b"x")
        for bucket, source in (("data", "data"), ("plain", "data"), ("plain", "plain")):
            upload = await create(wire, f"/{bucket}/to")
            store.buckets[bucket].uploads.clear()
            copied = await part_copy(wire, f"{source}/from", f"/{bucket}/to", upload, 1, {})
            assert (copied.status, copied.code) == (404, "NoSuchUpload")

    @every_target
    async def test_tampered_data(self, wire: Wire, store: MemoryStore, target: str) -> None:
        bucket, key = MODES[target]
        for size in (SMALL, LARGE):
            await wire.put("/data/from", body_of(size))
            raw = store.raw("data", "from")
            raw.data = raw.data[:-300] + bytes([raw.data[-300] ^ 1]) + raw.data[-299:]
            upload = await create(wire, f"/{bucket}/to", key)
            copied = await part_copy(wire, "data/from", f"/{bucket}/to", upload, 1, key)
            assert (copied.status, copied.code) == (500, "InternalError")
            assert b"<Part>" not in await parts_of(wire, f"/{bucket}/to", upload, key)


async def test_a_bucket_that_the_proxy_stays_out_of(serve: Serve, store: MemoryStore) -> None:
    """Its uploads have no record; what is encrypted elsewhere is opened for it."""
    out = BucketPolicy(SseMode.NONE, passthrough=True)
    wire = await serve(buckets={**BUCKETS, "other": out})
    await wire.put("/data/from", body_of(LARGE))
    upload = await create(wire, "/other/to")
    refused = await part_copy(wire, "data/from", "/other/to", upload, 1, customer(KEY))
    assert (refused.status, refused.code) == (400, "InvalidRequest")
    copied = await part_copy(wire, "data/from", "/other/to", upload, 1, {})
    done = await complete(wire, "/other/to", upload, [str(copied.text("ETag"))])
    assert done.code is None
    assert store.raw("other", "to").data == body_of(LARGE)
