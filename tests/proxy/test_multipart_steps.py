"""CompleteMultipartUpload cut off, repeated, raced, and answered oddly by the store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sseproxy.errors import StoreUnavailable
from sseproxy.proxy import completion
from sseproxy.store.objects import StoreCredential
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.samples import KEY
from tests.proxy.uploads import (
    TWO,
    ClientUpload,
    disk,
    document,
    part,
    records,
    two_parts,
)
from tests.proxy.wire import Wire, customer
from tests.store.memory import Failure, MemoryResponse, MemoryStore

NUL = "0" * 32


class OddStore(MemoryStore):
    """Answers each Complete as `odd` says, once for each entry; {} is an ordinary answer."""

    def __init__(self, *buckets: str, **more) -> None:
        super().__init__(*buckets, **more)
        self.odd: Iterator[dict[str, bytes]] = iter(())

    async def send(self, credential, method, bucket, key, *, query=(), **more):
        if method == "POST" and "uploadId" in dict(query):
            odd = next(self.odd, {})
            if "instead" in odd:
                return MemoryResponse(200, {}, odd["instead"])
            response = await super().send(credential, method, bucket, key, query=query, **more)
            if "after" in odd:
                return MemoryResponse(200, {}, odd["after"])
            if "lost" in odd:
                raise StoreUnavailable("the answer was lost")
            return response
        return await super().send(credential, method, bucket, key, query=query, **more)


def error(code: str) -> bytes:
    return f"<?xml version='1.0'?>\n  <Error><Code>{code}</Code></Error>".encode()


def result_with(etag: str) -> bytes:
    tag = "CompleteMultipartUploadResult"
    return f"<{tag}><ETag>{etag}</ETag></{tag}>".encode()


class TestOddAnswers:
    @pytest.fixture
    def store(self) -> OddStore:
        return OddStore("data", "other", "plain", public=["public"])

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (error("InternalError"), 500, "InternalError"),
            (error("SlowDown"), 503, "SlowDown"),
            (error("PreconditionFailed"), 412, "PreconditionFailed"),
            (error("NeverHeardOf"), 500, "InternalError"),
            (b"", 503, "ServiceUnavailable"),
            (b"<Other/>", 503, "ServiceUnavailable"),
        ],
    )
    async def test_200_with_an_error_in_it_is_one(
        self, wire: Wire, store: OddStore, body: bytes, status: int, code: str
    ) -> None:
        upload = await two_parts(wire)
        store.odd = iter([{"instead": body}])
        answer = await upload.complete()
        assert (answer.status, answer.code) == (status, code)
        assert (await wire.get("/data/k")).status == 404
        assert (await upload.complete()).status == 200
        assert (await wire.get("/data/k")).body == b"".join(TWO)

    async def test_white_space_in_front(self, wire: Wire, store: OddStore) -> None:
        upload = await two_parts(wire)
        store.odd = iter([{"after": b"  \n<CompleteMultipartUploadResult/>"}])
        assert (await upload.complete()).status == 200

    @pytest.mark.parametrize("kind", ["sse-s3", "sse-c"])
    async def test_a_lost_answer(self, wire: Wire, store: OddStore, kind: str) -> None:
        key = customer(KEY) if kind == "sse-c" else {}
        upload = await ClientUpload.create(
            wire, "/data/k", key, x_amz_checksum_algorithm="CRC64NVME"
        )
        await upload.put(1, b"x")
        store.odd = iter([{"lost": b""}])
        assert (await upload.complete(headers=key)).status == 503
        before = disk(store)
        answer = await upload.complete(headers=key)
        assert answer.status == 200
        assert (answer.text("ETag") or "").strip('"') == (await wire.inspect("/data/k", key)).etag
        assert answer.text("ChecksumCRC64NVME")
        assert disk(store) == before
        # With another list it is another request, and that upload is gone.
        for etag in (NUL, "no hex"):
            other = document(part(1, etag))
            assert (await upload.complete(other, key)).code == "NoSuchUpload"

    async def test_a_repeated_one_needs_its_own_object(self, wire: Wire) -> None:
        upload = await two_parts(wire)
        assert (await upload.complete()).status == 200
        await wire.put("/data/k", b"new")
        assert (await upload.complete()).code == "NoSuchUpload"
        await wire.request("DELETE", "/data/k")
        assert (await upload.complete()).code == "NoSuchUpload"

    async def test_the_same_data_from_another_upload_is_another_object(self, wire: Wire) -> None:
        """Its ETag is the same for SSE-S3; what tells them apart is the envelope."""
        first, second = await two_parts(wire), await two_parts(wire)
        assert (await first.complete()).status == 200
        assert (await second.complete()).status == 200
        assert first.etags == second.etags
        assert (await second.complete()).status == 200
        assert (await first.complete()).code == "NoSuchUpload"

    async def test_a_part_uploaded_again_between_the_lists(
        self, wire: Wire, store: OddStore
    ) -> None:
        """The same plaintext has the same ETag for the client, so the list still holds."""
        upload = await two_parts(wire)
        original = wire.proxy.services.manifests.write
        times = 0

        async def meanwhile(*everything, **named) -> str:
            nonlocal times
            times += 1
            if times < 3:
                await upload.put(2, TWO[1])
            return await original(*everything, **named)

        wire.proxy.services.manifests.write = meanwhile  # type: ignore[method-assign]  # a race
        assert (await upload.complete()).status == 200
        assert times == 3
        assert (await wire.get("/data/k")).body == b"".join(TWO)

    async def test_it_gives_up_in_the_end(self, wire: Wire, store: OddStore) -> None:
        upload = await two_parts(wire)
        store.odd = iter([{"instead": error("InvalidPart")}] * 9)
        assert (await upload.complete()).code == "InvalidPart"

    async def test_left_behind_records_are_no_failure(self, wire: Wire, store: OddStore) -> None:
        upload = await two_parts(wire)
        left = len(records(store))
        store.fail(Failure(method="POST", query="delete", status=503))
        assert (await upload.complete()).status == 200
        assert len(records(store)) == left
        assert (await wire.get("/data/k")).body == b"".join(TWO)


class TestTwoAtOnce:
    """Both find the upload open; one of them is the first."""

    @pytest.fixture
    def store(self) -> OddStore:
        return OddStore("data", "other", "plain", public=["public"])

    @staticmethod
    async def first(wire: Wire, upload: ClientUpload, body: bytes | None = None) -> None:
        """When the next completion has read what there is, another one overtakes it."""
        manifests = wire.proxy.services.manifests
        original = manifests.write

        async def meanwhile(*everything, **named) -> str:
            manifests.write = original  # type: ignore[method-assign]  # as it was
            assert (await upload.complete(body)).status == 200
            return await original(*everything, **named)

        manifests.write = meanwhile  # type: ignore[method-assign]  # a race

    @pytest.mark.parametrize("answer", ["the first one's", "none"])
    async def test_another_list(self, wire: Wire, store: OddStore, answer: str) -> None:
        """SeaweedFS tells the second of success, with the ETag of what the first has made."""
        upload = await two_parts(wire)
        await self.first(wire, upload, document(part(2, upload.etags[2])))
        if answer != "none":
            store.odd = iter([{}, {"instead": result_with("its-1")}])
        second = await upload.complete(document(part(1, upload.etags[1])))
        assert (second.status, second.code) == (404, "NoSuchUpload")
        assert (await wire.get("/data/k")).body == TWO[1]

    @pytest.mark.parametrize("answer", ["the first one's", "none"])
    async def test_the_same_list(self, wire: Wire, store: OddStore, answer: str) -> None:
        upload = await two_parts(wire)
        await self.first(wire, upload)
        if answer != "none":
            store.odd = iter([{}, {"instead": result_with("its-2")}])
        second = await upload.complete()
        assert second.status == 200
        got = await wire.get("/data/k")
        assert (second.text("ETag") or "").strip('"') == got.etag
        assert got.body == b"".join(TWO)

    async def test_the_object_was_replaced_since(self, wire: Wire, store: OddStore) -> None:
        """A store with ETags of its own: what there is now says nothing of the completion."""
        upload = await two_parts(wire)
        send = store.send

        async def replaced(credential, method, bucket, key, *, query=(), **more):
            response = await send(credential, method, bucket, key, query=query, **more)
            if method == "POST" and "uploadId" in dict(query):
                store.send = send  # type: ignore[method-assign]  # as it was
                assert (await wire.put("/data/k", b"theirs")).status == 200
                return MemoryResponse(200, {}, result_with("own"))
            return response

        store.send = replaced  # type: ignore[method-assign]  # a race
        assert (await upload.complete()).status == 200
        assert (await wire.get("/data/k")).body == b"theirs"

    async def test_the_records_of_the_parts_are_gone_already(
        self, wire: Wire, store: OddStore
    ) -> None:
        upload = await two_parts(wire)
        services = wire.proxy.services
        original = services.records.list

        async def late(*everything, **named) -> list[str]:
            services.records.list = original  # type: ignore[method-assign]  # as it was
            assert (await upload.complete()).status == 200
            return await original(*everything, **named)

        services.records.list = late  # type: ignore[method-assign]  # a race
        assert (await upload.complete()).status == 200


class TestSteps:
    async def test_only_what_is_needed_stays(self, wire: Wire, store: MemoryStore) -> None:
        upload = await two_parts(wire)
        assert len(records(store)) == 3
        assert (await upload.complete()).status == 200
        assert [name.rpartition("/")[2] for name in records(store)] == ["upload"]
        assert len(records(store, "m/")) == 1

    async def test_the_manifest_is_there_before_the_object(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        upload = await two_parts(wire)
        store.requests.clear()
        assert (await upload.complete()).status == 200
        steps = [(asked.method, asked.bucket) for asked in store.requests]
        assert steps.index(("PUT", SYSTEM_BUCKET)) < steps.index(("POST", "data"))
        assert steps.index(("POST", "data")) < steps.index(("POST", SYSTEM_BUCKET))

    async def test_without_manifest_there_is_no_object(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        upload = await two_parts(wire)
        store.fail(Failure(method="PUT", unreachable=True))
        assert (await upload.complete()).status == 503
        assert store.keys("data") == []
        assert (await upload.complete()).status == 200

    async def test_ten_thousand_parts_without_as_many_requests(
        self, wire: Wire, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(completion, "MIN_PART_BYTES", 0)
        store.minimum_part_bytes = 0
        upload = await ClientUpload.create(wire, "/data/k")
        for number in range(1, 1102):
            await upload.put(number, b"%d," % number)
        store.requests.clear()
        assert (await upload.complete()).status == 200
        assert len(store.requests) < 20  # pages of a thousand
        assert [name.rpartition("/")[2] for name in records(store)] == ["upload"]
        expected = b"".join(b"%d," % number for number in range(1, 1102))
        assert (await wire.get("/data/k")).body == expected

    async def test_a_client_that_may_not_list_its_parts(
        self, serve, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wire = await serve()
        upload = await two_parts(wire)
        services = wire.proxy.services
        services.service_credential = StoreCredential("SERVICE", services.service_credential.secret)
        original = store._answer

        def refusing(asked, data):
            if asked.method == "GET" and asked.credential.access_key != "SERVICE":
                return MemoryResponse(403, {}, error("AccessDenied"))
            return original(asked, data)

        monkeypatch.setattr(store, "_answer", refusing)
        services.records._credential = services.service_credential
        wrong = await upload.complete(upload.document([(1, "0" * 32)]))
        assert (wrong.status, wrong.code) == (403, "AccessDenied"), "it tells nothing of the parts"
        assert (await upload.complete()).status == 200
        # Whether the object is its own it would have to read.
        assert (await upload.complete()).code == "NoSuchUpload"
