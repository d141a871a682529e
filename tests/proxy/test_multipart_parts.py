"""UploadPart and ListParts: what they refuse, and that a part without record is none."""

from __future__ import annotations

import hashlib
from copy import deepcopy

import pytest
from lxml import etree

from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.samples import KEY, LARGE, OTHER_KEY, SMALL, body_of
from tests.proxy.uploads import ClientUpload, disk, listed, records
from tests.proxy.wire import Wire, b64, content_md5, crc32_b64, customer, md5
from tests.store.memory import MemoryResponse, MemoryStore

SSE_S3 = {"x-amz-server-side-encryption": "AES256"}
MODES = [pytest.param({}, id="sse-s3"), pytest.param(customer(KEY), id="sse-c")]
SIZES = [0, 1, SMALL, 524_288, 524_289, LARGE]


class TestParts:
    @pytest.mark.parametrize("number", ["0", "10001", "-1", "", "x", "1e3", "9" * 30])
    async def test_a_wrong_number(self, wire: Wire, number: str) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        answer = await wire.put(
            "/data/k", b"x", query={"partNumber": number, "uploadId": upload.upload_id}
        )
        assert (answer.status, answer.code) == (400, "InvalidArgument")

    @pytest.mark.parametrize("bucket", ["data", "plain"])
    async def test_an_upload_without_record_does_not_exist(
        self, serve, store: MemoryStore, bucket: str
    ) -> None:
        """A record that the store hides must never turn encryption off."""
        wire = await serve()
        upload = await ClientUpload.create(wire, f"/{bucket}/k")
        await upload.put(1, b"x")
        (record, *_) = [name for name in records(store) if name.endswith("/upload")]
        del store.buckets[SYSTEM_BUCKET].versions[record]
        upload.wire = await serve()
        for answer in (
            await upload.put(1, b"secret"),
            await upload.parts(),
            await upload.complete(),
        ):
            assert (answer.status, answer.code) == (404, "NoSuchUpload")
        assert b"secret" not in disk(store)

    async def test_an_altered_record_is_an_error(self, serve, store: MemoryStore) -> None:
        upload = await ClientUpload.create(await serve(), "/data/k")
        (record,) = records(store)
        stored = store.raw(SYSTEM_BUCKET, record)
        stored.data = stored.data[:-1] + bytes((stored.data[-1] ^ 1,))
        upload.wire = await serve()
        answer = await upload.put(1, b"secret")
        assert (answer.status, answer.code) == (500, "InternalError")
        assert b"secret" not in disk(store)

    async def test_a_record_of_another_upload_is_an_error(self, serve, store: MemoryStore) -> None:
        wire = await serve()
        upload = await ClientUpload.create(wire, "/data/k")
        (mine,) = records(store)
        await ClientUpload.create(wire, "/data/other")
        (other,) = {*records(store)} - {mine}
        store.raw(SYSTEM_BUCKET, mine).data = store.raw(SYSTEM_BUCKET, other).data
        upload.wire = await serve()
        assert (await upload.put(1, b"x")).status == 500

    async def test_a_plain_record_does_not_weaken_a_bucket_that_requires_encryption(
        self, serve, store: MemoryStore
    ) -> None:
        upload = await ClientUpload.create(await serve(), "/plain/k")
        await upload.put(1, b"x")
        rule = BucketPolicy(SseMode.SSE_COS, require_encryption_writes=True)
        upload.wire = await serve(buckets={"plain": rule})
        for answer in (await upload.put(2, b"secret"), await upload.complete()):
            assert (answer.status, answer.code) == (403, "AccessDenied")
        assert b"secret" not in disk(store)

    async def test_mode_headers_are_refused(self, wire: Wire) -> None:
        for bucket in ("data", "plain"):
            upload = await ClientUpload.create(wire, f"/{bucket}/k")
            answer = await upload.put(1, b"x", SSE_S3)
            assert (answer.status, answer.code) == (400, "InvalidArgument")

    async def test_the_customer_key_must_be_the_uploads(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        sealed = await ClientUpload.create(wire, "/data/c", customer(KEY))
        sealed.headers = {}
        for path, headers in (("/data/k", {}), ("/plain/k", {})):
            other = await ClientUpload.create(wire, path, headers)
            answer = await other.put(1, b"secret", customer(KEY))
            assert (answer.status, answer.code) == (400, "InvalidRequest")
        for headers in ({}, customer(OTHER_KEY)):
            answer = await sealed.put(1, b"secret", headers)
            assert (answer.status, answer.code) == (400, "InvalidRequest")
        assert b"secret" not in disk(store)
        failures = wire.proxy.metric(
            "sseproxy_authentication_failures_total", reason="CustomerKeyWrong"
        )
        assert failures == 1
        assert (await sealed.put(1, b"x", customer(KEY))).status == 200

    @pytest.mark.parametrize("size", [SMALL, LARGE])
    @pytest.mark.parametrize("bucket", ["data", "plain"])
    async def test_a_broken_promise_stores_nothing(
        self, wire: Wire, store: MemoryStore, bucket: str, size: int
    ) -> None:
        upload = await ClientUpload.create(wire, f"/{bucket}/k")
        body = body_of(size)
        for headers in ({"content-md5": content_md5(b"")}, {"x-amz-checksum-crc32": "AAAAAA=="}):
            answer = await upload.put(1, body, headers)
            assert (answer.status, answer.code) == (400, "BadDigest")
        answer = await upload.put(1, body, payload_hash="0" * 64)
        assert answer.code == "XAmzContentSHA256Mismatch"
        (at_store,) = store.buckets[bucket].uploads.values()
        assert at_store.parts == {}
        assert all(name.endswith("/upload") for name in records(store))

    async def test_over_5_gib(self, wire: Wire) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        answer = await upload.put(
            1, b"", {"expect": "100-continue"}, content_length=5 * 1024**3 + 1
        )
        assert (answer.status, answer.code) == (400, "EntityTooLarge")

    async def test_an_unanswered_part_is_no_part(self, wire: Wire, store: MemoryStore) -> None:
        """Killed between the part and its record: the store has it, the upload doesn't."""
        upload = await ClientUpload.create(wire, "/data/k")
        before = len(records(store))
        original = wire.proxy.services.records.put

        async def fails(name: str, data: bytes, **more: object) -> str:
            raise ConnectionError("killed")

        wire.proxy.services.records.put = fails  # type: ignore[method-assign]  # a kill in here
        assert (await upload.put(1, b"x")).status >= 400
        wire.proxy.services.records.put = original  # type: ignore[method-assign]
        (at_store,) = store.buckets["data"].uploads.values()
        assert list(at_store.parts) == [1]
        assert len(records(store)) == before
        assert listed(await upload.parts()) == []
        answer = await upload.complete(upload.document([(1, md5(b"x"))]))
        assert answer.code == "InvalidPart"
        assert (await upload.put(1, b"x")).status == 200
        assert (await upload.complete()).status == 200

    async def test_the_same_part_twice_is_other_ciphertext(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        (at_store,) = store.buckets["data"].uploads.values()
        seen = set()
        for _ in range(3):
            await upload.put(1, body_of(SMALL))
            seen.add(at_store.parts[1].data)
            seen.add(at_store.parts[1].data[48:64])
        assert len(seen) == 6

    async def test_the_stores_refusal_is_told(self, wire: Wire, store: MemoryStore) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        await upload.put(1, b"x")  # the worker knows the upload
        store.buckets["data"].uploads.clear()
        for body in (b"x", body_of(LARGE)):
            answer = await upload.put(1, body)
            assert (answer.status, answer.code) == (404, "NoSuchUpload")


class TestPartChecksums:
    async def test_a_client_gets_its_own_back(self, wire: Wire) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        answer = await upload.put(1, b"x", {"x-amz-checksum-crc32": crc32_b64(b"x")})
        assert answer.headers["x-amz-checksum-crc32"] == crc32_b64(b"x")
        assert "x-amz-checksum-type" not in answer.headers

    async def test_what_the_whole_object_needs_is_computed(self, wire: Wire) -> None:
        created = {"x_amz_checksum_algorithm": "CRC32", "x_amz_checksum_type": "FULL_OBJECT"}
        upload = await ClientUpload.create(wire, "/data/k", **created)
        body = body_of(LARGE)
        assert (await upload.put(1, body)).headers["x-amz-checksum-crc32"] == crc32_b64(body)

    async def test_a_composite_needs_the_clients(self, wire: Wire) -> None:
        upload = await ClientUpload.create(wire, "/data/k", x_amz_checksum_algorithm="SHA256")
        upload.sha256 = False
        answer = await upload.put(1, b"x")
        assert (answer.status, answer.code) == (400, "InvalidRequest")
        assert "actual checksum Type: null" in (answer.text("Message") or "")

    async def test_what_the_upload_declared_is_told(self, wire: Wire) -> None:
        upload = await ClientUpload.create(wire, "/data/k", x_amz_checksum_algorithm="SHA256")
        body = body_of(LARGE)
        digest = b64(hashlib.sha256(body).digest())
        assert (await upload.put(1, body)).headers["x-amz-checksum-sha256"] == digest
        answer = await upload.parts()
        assert answer.text("ChecksumSHA256") == digest
        assert answer.text("ChecksumAlgorithm") == "SHA256"
        assert answer.text("ChecksumType") == "COMPOSITE"

    async def test_another_than_declared_is_refused(self, wire: Wire) -> None:
        upload = await ClientUpload.create(wire, "/data/k", x_amz_checksum_algorithm="SHA256")
        answer = await upload.put(1, b"x", {"x-amz-checksum-crc32": crc32_b64(b"x")})
        assert (answer.status, answer.code) == (400, "InvalidRequest")

    async def test_cos_gets_its_own(self, wire: Wire) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        upload.headers = {"x-cos-meta-a": "b"}
        answer = await upload.put(1, b"123456789")
        assert answer.headers["x-cos-hash-crc64ecma"] == "11051210869376104954"
        done = await upload.complete(headers={"x-cos-meta-a": "b"})
        assert done.headers["x-cos-hash-crc64ecma"] == "11051210869376104954"


class TestListParts:
    @pytest.mark.parametrize("headers", MODES)
    async def test_sizes_and_etags_are_the_clients(
        self, wire: Wire, headers: dict[str, str]
    ) -> None:
        upload = await ClientUpload.create(wire, "/data/k", headers)
        await upload.put(2, body_of(LARGE))
        await upload.put(1, b"first")
        await upload.put(1, b"again")
        await upload.put(9, b"")
        answer = await upload.parts()
        etags = upload.etags
        assert listed(answer) == [(1, 5, etags[1]), (2, LARGE, etags[2]), (9, 0, etags[9])]
        assert answer.text("ChecksumAlgorithm") is None

    async def test_pages(self, wire: Wire) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        for number in (1, 3, 5):
            await upload.put(number, bytes(number))
        page = await upload.parts(max_parts="2")
        assert [number for number, *_ in listed(page)] == [1, 3]
        assert (page.text("IsTruncated"), page.text("NextPartNumberMarker")) == ("true", "3")
        page = await upload.parts(part_number_marker="3")
        assert listed(page) == [(5, 5, upload.etags[5])]

    async def test_an_altered_part_record_is_an_error(self, wire: Wire, store: MemoryStore) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        await upload.put(1, b"x")
        (name,) = [name for name in records(store) if not name.endswith("/upload")]
        versions = store.buckets[SYSTEM_BUCKET].versions
        versions[name.replace("/00001-", "/00002-")] = versions.pop(name)
        await upload.put(1, b"x")
        assert (await upload.parts()).status == 200  # not a record of a part that is there
        await upload.put(2, b"x")
        assert (await upload.parts()).status == 500

    async def test_a_customer_key_is_needed_with_a_checksum_only(self, wire: Wire) -> None:
        for created, status in (({}, 200), ({"x_amz_checksum_algorithm": "CRC32"}, 400)):
            upload = await ClientUpload.create(wire, "/data/k", customer(KEY), **created)
            await upload.put(1, b"x")
            assert (await upload.parts()).status == 200
            upload.headers = {}
            assert (await upload.parts()).status == status
            upload.headers = customer(OTHER_KEY)
            assert (await upload.parts()).code == "InvalidRequest"

    async def test_a_gone_upload(self, wire: Wire, store: MemoryStore) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        store.buckets["data"].uploads.clear()
        assert (await upload.parts()).code == "NoSuchUpload"


class RepeatingStore(MemoryStore):
    """Lists every upload of a part, as SeaweedFS does."""

    async def send(self, *target, query=(), **more):
        response = await super().send(*target, query=query, **more)
        asked = self.requests[-1]
        if asked.method == "GET" and "uploadId" in asked.query and response.status == 200:
            root = etree.fromstring(await response.read())
            for shown, older in self.older:
                copy = deepcopy(root.find("{*}Part"))
                copy.find("{*}ETag").text = older
                copy.find("{*}LastModified").text = "2000-01-01T00:00:00.000Z"
                root.insert(shown, copy)
            return MemoryResponse(200, {}, etree.tostring(root))
        return response


async def test_the_newest_of_several_uploads_of_a_part_is_shown(serve, store) -> None:
    store.__class__ = RepeatingStore
    store.older = []
    wire = await serve()
    upload = await ClientUpload.create(wire, "/data/k")
    (at_store,) = store.buckets["data"].uploads.values()
    await upload.put(1, b"older")
    older = at_store.parts[1].etag
    await upload.put(1, b"newer")
    end = len(etree.fromstring((await upload.parts()).body))
    for place in (0, end):
        store.older = [(place, older)]
        assert listed(await upload.parts()) == [(1, 5, md5(b"newer"))]
    assert (await upload.complete()).status == 200
