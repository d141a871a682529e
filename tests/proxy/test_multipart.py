"""Multipart uploads, step by step: what each is answered, and what then lies at the store."""

from __future__ import annotations

import hashlib

import pytest

from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from tests.proxy.samples import KEY, LARGE, RESERVED, SMALL, body_of
from tests.proxy.uploads import FIVE_MIB, ClientUpload, disk, listed, records
from tests.proxy.wire import Wire, content_md5, customer, md5
from tests.store.memory import Failure, MemoryStore

SSE_S3 = {"x-amz-server-side-encryption": "AES256"}
MODES = [pytest.param({}, id="sse-s3"), pytest.param(customer(KEY), id="sse-c")]
SIZES = [0, 1, SMALL, 524_288, 524_289, LARGE]


def composite_md5(*parts: bytes) -> str:
    joined = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    return f"{md5(joined)}-{len(parts)}"


class TestRoundTrip:
    @pytest.mark.parametrize("headers", MODES)
    async def test_what_was_uploaded_comes_back(
        self, wire: Wire, store: MemoryStore, headers: dict[str, str]
    ) -> None:
        bodies = [body_of(FIVE_MIB + 3, 1), body_of(FIVE_MIB, 2), body_of(SMALL, 3)]
        upload = await ClientUpload.create(
            wire, "/data/k", headers, x_amz_meta_a="b", content_type="text/x"
        )
        for number, body in ((3, bodies[2]), (1, bodies[0]), (2, bodies[1])):
            answer = await upload.put(number, body)
            assert answer.status == 200
            assert (answer.etag == md5(body)) == (not headers)
        for body in bodies:
            assert body[100:164] not in disk(store)
        answer = await upload.complete()
        assert answer.status == 200
        etag = (answer.text("ETag") or "").strip('"')
        assert (etag == composite_md5(*bodies)) == (not headers)
        assert etag.endswith("-3")
        assert answer.text("Location") == f"{wire.proxy.endpoint}/data/k"
        assert (answer.text("Bucket"), answer.text("Key")) == ("data", "k")
        got = await wire.get("/data/k", headers)
        assert (got.body, got.etag) == (b"".join(bodies), etag)
        assert got.headers["x-amz-meta-a"] == "b"
        assert got.headers["content-type"] == "text/x"
        for body in bodies:
            assert body[100:164] not in disk(store)
            assert md5(body).encode() not in disk(store)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("headers", MODES)
    async def test_one_part_of_any_size(
        self, wire: Wire, headers: dict[str, str], size: int
    ) -> None:
        upload = await ClientUpload.create(wire, "/data/k", headers)
        body = body_of(size)
        assert (await upload.put(10_000, body)).status == 200
        assert (await upload.complete()).status == 200
        assert (await wire.get("/data/k", headers)).body == body

    async def test_the_answers_say_how_it_is_encrypted(self, wire: Wire) -> None:
        name = "x-amz-server-side-encryption"
        created = await wire.request("POST", "/data/k", query={"uploads": ""})
        assert created.headers[name] == "AES256"
        upload = ClientUpload(wire, "/data/k", created.text("UploadId") or "")
        assert (await upload.put(1, b"x")).headers[name] == "AES256"
        assert (await upload.complete()).headers[name] == "AES256"

    async def test_of_a_customer_key_too(self, wire: Wire) -> None:
        prefix = "x-amz-server-side-encryption"
        sent = customer(KEY)
        created = await wire.request("POST", "/data/k", b"", sent, query={"uploads": ""})
        upload = ClientUpload(wire, "/data/k", created.text("UploadId") or "", sent)
        for answer in (created, await upload.put(1, b"x")):
            assert answer.headers[f"{prefix}-customer-key-md5"] == content_md5(KEY)
            assert prefix not in answer.headers
        done = await upload.complete()
        assert not [header for header in done.headers if header.startswith(prefix)]

    async def test_one_that_stays_plain(self, wire: Wire, store: MemoryStore) -> None:
        upload = await ClientUpload.create(wire, "/plain/k")
        body = body_of(SMALL)
        assert (await upload.put(1, body)).etag == md5(body)
        assert listed(await upload.parts()) == [(1, SMALL, md5(body))]
        assert (await upload.complete()).status == 200
        assert store.raw("plain", "k").data == body
        assert RESERVED not in store.raw("plain", "k").headers
        assert [name.rpartition("/")[2] for name in records(store)] == ["upload"]

    async def test_another_worker_goes_on(self, serve, store: MemoryStore) -> None:
        one, two = await serve(), await serve()
        upload = await ClientUpload.create(one, "/data/k", customer(KEY))
        assert (await upload.put(1, body_of(FIVE_MIB))).status == 200
        upload.wire = two
        assert (await upload.put(2, b"end")).status == 200
        assert len(listed(await upload.parts())) == 2
        assert (await upload.complete()).status == 200
        assert (await one.get("/data/k", customer(KEY))).body == body_of(FIVE_MIB) + b"end"


class TestCreate:
    async def test_nothing_of_the_clients_digests_reaches_the_store(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        answer = await wire.request(
            "POST",
            "/data/k",
            b"",
            {"x-amz-checksum-algorithm": "CRC32", "x-amz-tagging": "a=b", "x-amz-acl": "private"},
            query={"uploads": ""},
        )
        assert answer.headers["x-amz-checksum-algorithm"] == "CRC32"
        assert answer.headers["x-amz-checksum-type"] == "COMPOSITE"
        (asked,) = [r for r in store.requests if r.bucket == "data"]
        assert not [name for name in asked.headers if name.startswith("x-amz-checksum")]
        assert asked.headers["x-amz-tagging"] == "a=b"
        assert asked.headers["x-amz-acl"] == "private"
        assert RESERVED in asked.headers

    async def test_without_its_record_it_is_undone(self, wire: Wire, store: MemoryStore) -> None:
        store.fail(Failure(method="PUT", unreachable=True))
        answer = await wire.request("POST", "/data/k", query={"uploads": ""})
        assert answer.status == 503
        assert store.buckets["data"].uploads == {}
        assert records(store) == []

    async def test_a_refusal_of_the_store_is_told(self, wire: Wire, store: MemoryStore) -> None:
        answer = await wire.request("POST", "/missing/k", query={"uploads": ""})
        assert (answer.status, answer.code) == (404, "NoSuchBucket")
        assert records(store) == []

    async def test_the_metadata_limit(self, serve, store: MemoryStore) -> None:
        wire = await serve()
        wire.proxy.services.store_limits = type(wire.proxy.services.store_limits)(
            metadata_bytes=2048
        )
        headers = {"x-amz-meta-a": "x" * 1900}
        answer = await wire.request("POST", "/data/k", b"", headers, query={"uploads": ""})
        assert (answer.status, answer.code) == (400, "MetadataTooLarge")
        assert store.buckets["data"].uploads == {}

    async def test_a_bad_checksum_is_refused(self, wire: Wire) -> None:
        headers = {"x-amz-checksum-algorithm": "CRC7"}
        answer = await wire.request("POST", "/data/k", b"", headers, query={"uploads": ""})
        assert (answer.status, answer.code) == (400, "InvalidRequest")

    async def test_a_body_is_verified_and_bounded(self, wire: Wire, store: MemoryStore) -> None:
        for body, headers, code in (
            (b"x", {"content-md5": content_md5(b"y")}, "BadDigest"),
            (bytes(LARGE), {}, "MaxMessageLengthExceeded"),
        ):
            answer = await wire.request("POST", "/data/k", body, headers, query={"uploads": ""})
            assert answer.code == code
        assert store.buckets["data"].uploads == {}


class TestAbort:
    @pytest.mark.parametrize("bucket", ["data", "plain"])
    async def test_its_records_go_with_it(
        self, wire: Wire, store: MemoryStore, bucket: str
    ) -> None:
        kept = await ClientUpload.create(wire, f"/{bucket}/kept")
        before = records(store)
        upload = await ClientUpload.create(wire, f"/{bucket}/k")
        await upload.put(1, b"x")
        await upload.put(1, b"y")
        assert (await upload.abort()).status == 204
        assert records(store) == before
        assert (await upload.put(1, b"x")).code == "NoSuchUpload"
        assert (await kept.put(1, b"x")).status == 200

    async def test_cut_off_before_they_went(self, wire: Wire, store: MemoryStore) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        store.fail(Failure(method="GET", unreachable=True))
        assert (await upload.abort()).status == 204
        assert records(store) != []
        assert (await upload.abort()).status == 404
        assert records(store) == []

    async def test_what_the_store_refuses_keeps_them(self, wire: Wire, store: MemoryStore) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        store.fail(Failure(method="DELETE", status=403))
        assert (await upload.abort()).status == 403
        assert (await upload.put(1, b"x")).status == 200


class TestAnonymous:
    async def test_an_encrypted_upload_is_not_for_it(self, serve, store: MemoryStore) -> None:
        rule = BucketPolicy(SseMode.NONE)
        wire = await serve(buckets={"public": rule})
        upload = await ClientUpload.create(wire, "/public/k", SSE_S3)
        upload.headers = {}
        await upload.put(1, b"x")
        query = {"uploadId": upload.upload_id}
        for method, more, body in (
            ("PUT", {"partNumber": "1"}, b"secret"),
            ("GET", {}, b""),
            ("POST", {}, upload.document()),
        ):
            answer = await wire.request(
                method, "/public/k", body, query=query | more, anonymous=True
            )
            assert (answer.status, answer.code) == (403, "AccessDenied")
        assert b"secret" not in disk(store)
        assert wire.proxy.metric("sseproxy_anonymous_denials_total", operation="UploadPart") == 1
