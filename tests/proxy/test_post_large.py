"""Form uploads longer than is held in memory: parts of an upload of the proxy's own."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from sseproxy.proxy import put, unsized
from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.conftest import Serve
from tests.proxy.forms import form_body, post, presigned
from tests.proxy.wire import Answer, Dropped, Wire, content_md5, crc32_b64, customer, md5
from tests.store.memory import Failure, MemoryStore

MIB = 1024 * 1024
PART = 8 * MIB
KEY = bytes(range(32))
SSE = "x-amz-server-side-encryption"
FILE = os.urandom(64 * 1024) * (17 * 16) + b"the end of the plaintext"


def records(store: MemoryStore) -> list[str]:
    """What is in the system bucket beside keyring and settings."""
    return [key for key in store.keys(SYSTEM_BUCKET) if "/" in key]


def open_uploads(store: MemoryStore) -> int:
    return sum(len(bucket.uploads) for bucket in store.buckets.values())


def asked(store: MemoryStore) -> list[str]:
    """What the data bucket was asked for, in short."""
    return [
        " ".join((each.method, *sorted(each.query.keys() - {"uploadId"})))
        for each in store.requests
        if each.bucket != SYSTEM_BUCKET
    ]


async def test_encrypted(wire: Wire, store: MemoryStore) -> None:
    given = {
        "Content-Type": "text/x-large",
        "x-amz-meta-a": "b",
        "x-amz-checksum-crc32": crc32_b64(FILE),
        "Content-MD5": content_md5(FILE),
    }
    answer = await post(wire, "data", presigned(wire, "data", "k", given), FILE)
    assert (answer.status, answer.etag) == (204, md5(FILE))
    assert answer.headers[SSE] == "AES256"
    assert answer.headers["x-amz-checksum-crc32"] == crc32_b64(FILE)
    assert asked(store) == ["POST uploads", *["PUT partNumber"] * 3, "POST"]
    assert open_uploads(store) == 0
    [manifest] = records(store)
    assert manifest.startswith("m/")

    for each in store.requests:
        digests = [name for name in each.headers if "checksum" in name or name == "content-md5"]
        assert not digests or each.bucket == SYSTEM_BUCKET
    raw = store.raw("data", "k").data
    assert len(raw) > len(FILE)
    assert FILE[:100] not in raw
    assert b"the end of the plaintext" not in raw

    head = await wire.inspect("/data/k", {"x-amz-checksum-mode": "ENABLED"})
    assert head.headers["content-length"] == str(len(FILE))
    assert head.headers["content-type"] == "text/x-large"
    assert head.headers["x-amz-meta-a"] == "b"
    assert head.headers["x-amz-checksum-crc32"] == crc32_b64(FILE)
    assert head.etag == md5(FILE)
    assert "x-amz-mp-parts-count" not in head.headers
    got = await wire.get("/data/k")
    assert got.body == FILE
    first = await wire.inspect("/data/k", query={"partNumber": "1"})
    assert first.headers["content-length"] == str(len(FILE)), "its parts are nobody's business"
    ranged = await wire.get("/data/k", {"range": f"bytes={PART - 5}-{PART + 4}"})
    assert (ranged.status, ranged.body) == (206, FILE[PART - 5 : PART + 5])


async def test_with_a_customer_key(wire: Wire, store: MemoryStore) -> None:
    answer = await post(wire, "data", presigned(wire, "data", "k", customer(KEY)), FILE)
    assert answer.status == 204
    assert answer.headers[f"{SSE}-customer-algorithm"] == "AES256"
    assert "-" not in answer.etag
    assert (await wire.get("/data/k")).status == 400
    got = await wire.get("/data/k", customer(KEY))
    assert (got.body, got.etag) == (FILE, answer.etag)
    assert b"the end of the plaintext" not in store.raw("data", "k").data


async def test_not_encrypted(wire: Wire, store: MemoryStore) -> None:
    given = {"Content-MD5": content_md5(FILE), "x-amz-meta-a": "b"}
    given |= {"x-amz-checksum-crc32": crc32_b64(FILE)}
    fields = presigned(wire, "plain", "k", given)
    answer = await post(wire, "plain", fields, FILE, headers={"if-none-match": "*"})
    assert (answer.status, answer.headers["x-amz-checksum-crc32"]) == (204, crc32_b64(FILE))
    assert store.raw("plain", "k").data == FILE
    got = await wire.get("/plain/k")
    assert (got.body, got.etag, got.headers["x-amz-meta-a"]) == (FILE, answer.etag, "b")
    assert answer.etag.endswith("-3"), "the store's"
    create, complete = [each for each in store.requests if (each.method, each.key) == ("POST", "k")]
    of_the_whole = {"content-md5", "x-amz-checksum-crc32", "if-none-match"}
    assert of_the_whole.isdisjoint(create.headers)
    assert of_the_whole & complete.headers.keys() == {"if-none-match"}
    assert records(store) == []


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART])
@pytest.mark.parametrize("bucket", ["data", "plain"])
async def test_around_a_part(wire: Wire, store: MemoryStore, size: int, bucket: str) -> None:
    answer = await post(wire, bucket, presigned(wire, bucket, "k"), FILE[:size])
    assert answer.status == 204
    parts = asked(store).count("PUT partNumber")
    assert parts == (0 if size < PART else -(-size // PART))
    got = await wire.get(f"/{bucket}/k")
    assert (got.body == FILE[:size], got.etag) == (True, answer.etag)


async def test_conditions_hold(wire: Wire, store: MemoryStore) -> None:
    fields = presigned(wire, "data", "k")
    assert (await wire.put("/data/k", b"first")).status == 200
    absent = await post(wire, "data", fields, FILE, headers={"if-none-match": "*"})
    assert (absent.status, absent.code) == (412, "PreconditionFailed")
    assert (await wire.get("/data/k")).body == b"first"
    assert open_uploads(store) == 0
    headers = {"if-match": f'"{md5(b"first")}"'}
    assert (await post(wire, "data", fields, FILE, headers=headers)).status == 204
    assert (await wire.get("/data/k")).body == FILE


class TestRefused:
    """Whatever fails, and whenever: what was there stays, and no upload is left open."""

    @pytest.fixture(autouse=True, params=["data", "plain"])
    async def bucket(self, request: pytest.FixtureRequest, wire: Wire, store: MemoryStore):
        assert (await wire.put(f"/{request.param}/k", b"as it was")).status == 200
        yield request.param
        assert (await wire.get(f"/{request.param}/k")).body == b"as it was"
        assert open_uploads(store) == 0
        assert [name for name in records(store) if not name.startswith("m/")] == []

    async def refused(self, wire: Wire, bucket: str, given: dict[str, str]) -> Answer:
        return await post(wire, bucket, presigned(wire, bucket, "k", given), FILE)

    async def test_a_wrong_digest(self, wire: Wire, bucket: str) -> None:
        for given in (
            {"x-amz-checksum-crc32": crc32_b64(b"")},
            {"Content-MD5": content_md5(b"")},
        ):
            answer = await self.refused(wire, bucket, given)
            assert (answer.status, answer.code) == (400, "BadDigest")

    @pytest.mark.parametrize(
        ("limits", "code"),
        [
            ((len(FILE) + 1, len(FILE) + 9), "EntityTooSmall"),
            ((0, len(FILE) - 1), "EntityTooLarge"),
            ((0, 10 * MIB), "EntityTooLarge"),
        ],
    )
    async def test_a_length_that_is_not_allowed(
        self, wire: Wire, bucket: str, limits: tuple[int, int], code: str
    ) -> None:
        conditions = [["content-length-range", *limits]]
        fields = presigned(wire, bucket, "k", conditions=conditions)
        try:
            answer = await post(wire, bucket, fields, FILE)
        except Dropped:
            assert code == "EntityTooLarge", "the rest of the body is not waited for"
        else:
            assert (answer.status, answer.code) == (400, code)

    async def test_no_more_is_read_than_is_allowed(
        self, wire: Wire, store: MemoryStore, bucket: str
    ) -> None:
        store.requests.clear()
        conditions = [["content-length-range", 0, MIB]]
        with suppress(Dropped):
            await post(wire, bucket, presigned(wire, bucket, "k", conditions=conditions), FILE)
        assert store.requests == []

    async def test_a_second_file(self, wire: Wire, bucket: str) -> None:
        fields = presigned(wire, bucket, "k")
        answer = await post(wire, bucket, fields, FILE, after=[("file", "x")])
        assert (answer.status, answer.code) == (400, "InvalidArgument")

    @pytest.mark.parametrize("missing", [1, 20, 100, 6 * MIB])
    async def test_a_cut(self, wire: Wire, bucket: str, missing: int) -> None:
        body = form_body(presigned(wire, bucket, "k"), FILE)
        cut = body[:-missing]
        try:
            answer = await post(wire, bucket, {}, body=cut, content_length=len(body), end=True)
        except Dropped:
            return
        assert answer.code in ("IncompleteBody", "MalformedPOSTRequest")

    async def test_no_end(self, wire: Wire, bucket: str) -> None:
        body = form_body(presigned(wire, bucket, "k"), FILE)[:-10]
        answer = await post(wire, bucket, {}, body=body)
        assert (answer.status, answer.code) == (400, "MalformedPOSTRequest")

    @pytest.mark.parametrize(
        ("method", "query"), [("POST", "uploads"), ("PUT", "partNumber"), ("POST", "uploadId")]
    )
    @pytest.mark.parametrize(
        ("failure", "status"), [({"status": 500}, 500), ({"unreachable": True}, 503)]
    )
    async def test_a_store_that_fails(
        self,
        wire: Wire,
        store: MemoryStore,
        bucket: str,
        method: str,
        query: str,
        failure: dict,
        status: int,
    ) -> None:
        store.fail(Failure(method=method, key="k", query=query, **failure))
        answer = await self.refused(wire, bucket, {})
        assert answer.status == status
        assert store.failures[0].count == 0

    async def test_more_than_the_largest(
        self, wire: Wire, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unsized, "MAX_SINGLE_PUT_BYTES", 12 * MIB)
        answer = await self.refused(wire, bucket, {})
        assert (answer.status, answer.code) == (400, "EntityTooLarge")


async def test_an_anonymous_one(serve: Serve, store: MemoryStore) -> None:
    wire = await serve(buckets={"public": BucketPolicy(SseMode.NONE)})
    store.requests.clear()
    answer = await post(wire, "public", {"key": "k"}, FILE)
    assert answer.status == 403, "this store lets nobody write"
    assert {each.credential for each in store.requests} == {None}


def test_the_largest_is_that_of_a_put() -> None:
    assert unsized.MAX_SINGLE_PUT_BYTES == put.MAX_SINGLE_PUT_BYTES == 5 * 1024**3
