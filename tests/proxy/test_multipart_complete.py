"""CompleteMultipartUpload: what it refuses, and what it promises."""

from __future__ import annotations

import hashlib
from zlib import crc32

import pytest

from tests.proxy.samples import KEY, OTHER_KEY, body_of
from tests.proxy.uploads import (
    FIVE_MIB,
    TWO,
    ClientUpload,
    document,
    part,
    records,
    two_parts,
)
from tests.proxy.wire import Wire, b64, crc32_b64, customer
from tests.store.memory import MemoryStore

NUL = "0" * 32


class TestRefused:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"text",
            b"<CompleteMultipartUpload/>",
            b"<Other><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></Other>",
            document(part("x", "e")),
            document("<Part><PartNumber>1</PartNumber></Part>"),
            document(part(1, "e", "<ChecksumNEW>x</ChecksumNEW>")),
            b"<!DOCTYPE a><CompleteMultipartUpload/>",
            document(*(part(n, "e") for n in range(1, 10_002))),
        ],
    )
    async def test_a_malformed_list(self, wire: Wire, body: bytes) -> None:
        upload = await two_parts(wire)
        answer = await upload.complete(body)
        assert (answer.status, answer.code) == (400, "MalformedXML")
        assert (await upload.complete()).status == 200

    async def test_a_list_beyond_all_bounds(self, wire: Wire) -> None:
        upload = await two_parts(wire)
        answer = await upload.complete(bytes(9 * 1024 * 1024))
        assert answer.code == "MaxMessageLengthExceeded"

    async def test_parts_that_are_not_there(self, wire: Wire, store: MemoryStore) -> None:
        upload = await two_parts(wire)
        one, two = upload.etags[1], upload.etags[2]
        for parts, code in (
            ([(2, two), (1, one)], "InvalidPartOrder"),
            ([(1, one), (1, one)], "InvalidPartOrder"),
            ([(1, two), (2, one)], "InvalidPart"),
            ([(1, one), (2, NUL)], "InvalidPart"),
            ([(1, one), (3, two)], "InvalidPart"),
        ):
            answer = await upload.complete(upload.document(parts))
            assert (answer.status, answer.code) == (400, code)
        assert store.keys("data") == []
        assert records(store, "m/") == []

    async def test_parts_that_are_too_small(self, wire: Wire) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        await upload.put(1, body_of(FIVE_MIB - 1))
        await upload.put(2, b"x")
        answer = await upload.complete()
        assert (answer.status, answer.code) == (400, "EntityTooSmall")
        assert answer.text("PartNumber") == "1"
        await upload.put(1, body_of(FIVE_MIB))
        assert (await upload.complete()).status == 200

    async def test_a_part_uploaded_again(self, wire: Wire) -> None:
        upload = await two_parts(wire)
        before = upload.document()
        await upload.put(2, b"another end")
        assert (await upload.complete(before)).code == "InvalidPart"
        assert (await upload.complete()).status == 200
        assert (await wire.get("/data/k")).body == TWO[0] + b"another end"

    async def test_a_customer_key(self, wire: Wire) -> None:
        """Another is refused; none is needed, except with a checksum."""
        upload = await ClientUpload.create(wire, "/data/k", customer(KEY))
        await upload.put(1, b"x")
        assert (await upload.complete(headers=customer(OTHER_KEY))).code == "InvalidRequest"
        assert (await upload.complete(headers=customer(KEY))).status == 200
        upload = await ClientUpload.create(
            wire, "/data/k", customer(KEY), x_amz_checksum_algorithm="CRC64NVME"
        )
        await upload.put(1, b"x")
        assert (await upload.complete()).code == "InvalidRequest"
        assert (await upload.complete(headers=customer(KEY))).status == 200


class TestChecksums:
    async def test_composite(self, wire: Wire) -> None:
        upload = await two_parts(wire, x_amz_checksum_algorithm="SHA256")
        digests = [hashlib.sha256(body).digest() for body in TWO]
        assert (await upload.complete()).code == "InvalidRequest"  # each part's is needed

        def body_with(*named: bytes) -> bytes:
            pairs = zip(upload.etags.items(), named, strict=True)
            return document(
                *(part(n, e, f"<ChecksumSHA256>{b64(d)}</ChecksumSHA256>") for (n, e), d in pairs)
            )

        assert (await upload.complete(body_with(*digests[::-1]))).code == "InvalidPart"
        whole = f"{b64(hashlib.sha256(b''.join(digests)).digest())}-2"
        name = "x-amz-checksum-sha256"
        for wrong in (b64(bytes(32)), whole[:-1] + "3"):
            answer = await upload.complete(body_with(*digests), {name: wrong})
            assert (answer.status, answer.code) == (400, "BadDigest")
        answer = await upload.complete(
            body_with(*digests), {name: whole, "x-amz-checksum-type": "COMPOSITE"}
        )
        assert (answer.text("ChecksumSHA256"), answer.text("ChecksumType")) == (whole, "COMPOSITE")
        got = await wire.inspect("/data/k", {"x-amz-checksum-mode": "ENABLED"})
        assert got.headers[name] == whole

    async def test_full_object(self, wire: Wire) -> None:
        created = {"x_amz_checksum_algorithm": "CRC32", "x_amz_checksum_type": "FULL_OBJECT"}
        upload = await two_parts(wire, **created)
        whole = crc32_b64(b"".join(TWO))
        name = "x-amz-checksum-crc32"
        answer = await upload.complete(headers={name: crc32_b64(TWO[0])})
        assert (answer.status, answer.code) == (400, "BadDigest")
        answer = await upload.complete(headers={"x-amz-checksum-type": "COMPOSITE"})
        assert (answer.status, answer.code) == (400, "InvalidRequest")
        answer = await upload.complete(headers={name: whole})
        assert (answer.text("ChecksumCRC32"), answer.text("ChecksumType")) == (
            whole,
            "FULL_OBJECT",
        )

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-amz-checksum-crc32": "AAAAAA=="},
            {"x-amz-checksum-sha256": "x"},
            {"x-amz-checksum-sha256": b64(bytes(32)), "x-amz-checksum-sha1": b64(bytes(20))},
            {"x-amz-checksum-new": "x"},
            {"x-amz-checksum-type": "OTHER"},
            {"x-amz-mp-object-size": "x"},
            {"x-amz-mp-object-size": "7"},
        ],
    )
    async def test_promises_that_are_not_kept(self, wire: Wire, headers: dict[str, str]) -> None:
        upload = await ClientUpload.create(wire, "/data/k", x_amz_checksum_algorithm="SHA256")
        await upload.put(1, b"x")
        digest = b64(hashlib.sha256(b"x").digest())
        body = document(part(1, upload.etags[1], f"<ChecksumSHA256>{digest}</ChecksumSHA256>"))
        answer = await upload.complete(body, headers)
        assert (answer.status, answer.code) == (400, "InvalidRequest")
        answer = await upload.complete(body, {"x-amz-mp-object-size": "1"})
        assert answer.status == 200

    async def test_of_parts_without_a_declaration(self, wire: Wire) -> None:
        upload = await ClientUpload.create(wire, "/data/k")
        value = b64(crc32(b"x").to_bytes(4))
        await upload.put(1, b"x", {"x-amz-checksum-crc32": value})
        for element, code in (
            ("<ChecksumCRC32>AAAAAA==</ChecksumCRC32>", "InvalidPart"),
            ("<ChecksumCRC32>A</ChecksumCRC32>", "InvalidRequest"),
            (f"<ChecksumCRC32C>{value}</ChecksumCRC32C>", "InvalidRequest"),
        ):
            answer = await upload.complete(document(part(1, upload.etags[1], element)))
            assert (answer.status, answer.code) == (400, code)
        right = f"<ChecksumCRC32>{value}</ChecksumCRC32><Size>1</Size>"
        assert (await upload.complete(document(part(1, upload.etags[1], right)))).status == 200


class TestConditions:
    @pytest.mark.parametrize("bucket", ["data", "plain"])
    async def test_they_are_about_the_clients_etag(self, wire: Wire, bucket: str) -> None:
        path = f"/{bucket}/k"
        old = (await wire.put(path, b"old", {"x-amz-server-side-encryption": "AES256"})).etag
        upload = await two_parts(wire, path)
        for headers in ({"if-none-match": "*"}, {"if-match": f'"{NUL}"'}):
            answer = await upload.complete(headers=headers)
            assert (answer.status, answer.code) == (412, "PreconditionFailed")
        assert (await wire.get(path)).body == b"old"
        assert (await upload.complete(headers={"if-match": f'"{old}"'})).status == 200
        assert (await wire.get(path)).body == b"".join(TWO)

    async def test_a_write_in_between_wins(self, wire: Wire, store: MemoryStore) -> None:
        old = (await wire.put("/data/k", b"old")).etag
        upload = await two_parts(wire)
        original = wire.proxy.services.manifests.write

        async def meanwhile(*everything, **named) -> str:
            await wire.put("/data/k", b"new")
            return await original(*everything, **named)

        wire.proxy.services.manifests.write = meanwhile  # type: ignore[method-assign]  # a race
        answer = await upload.complete(headers={"if-match": f'"{old}"'})
        assert (answer.status, answer.code) == (412, "PreconditionFailed")
        assert (await wire.get("/data/k")).body == b"new"
