"""Bodies in every framing, and every promise about one kept, or refused without a trace."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sseproxy.proxy.exchange import Limits
from tests.proxies import in_process
from tests.proxy.conftest import CREDENTIAL, Serve
from tests.proxy.framing import STREAMING, STREAMING_TRAILER, UNSIGNED_TRAILER
from tests.proxy.samples import KEY, LARGE, SMALL, body_of, sealed_size, state_of
from tests.proxy.wire import (
    Answer,
    Dropped,
    Wire,
    b64,
    content_md5,
    crc32_b64,
    customer,
    md5,
)
from tests.store.memory import MemoryStore


@settings(max_examples=25, deadline=None)
@given(
    size=st.sampled_from([0, 1, 65536, 65537, 524288, 524289, 600_001]),
    cuts=st.lists(st.integers(0, 600_001), max_size=6),
    framing=st.sampled_from(["whole", STREAMING, UNSIGNED_TRAILER]),
)
def test_any_split_of_the_stream_is_the_same_object(size: int, cuts: list[int], framing: str):
    asyncio.run(_split(size, cuts, framing))


async def _split(size: int, cuts: list[int], framing: str) -> None:
    store, body = MemoryStore("data"), body_of(size)
    with tempfile.TemporaryDirectory() as folder:
        async with in_process(store, CREDENTIAL, Path(folder)) as proxy:
            wire = Wire(proxy)
            if framing == "whole":
                put = await wire.put("/data/k", body, splits=cuts)
            else:
                bounds = sorted({0, size, *(min(cut, size) for cut in cuts)})
                chunks = [body[a:b] for a, b in pairwise(bounds)]
                trailer = ("x-amz-checksum-crc32", crc32_b64(body))
                put = await wire.put_chunked(
                    "/data/k",
                    chunks,
                    kind=framing,
                    trailer=trailer if framing == UNSIGNED_TRAILER else None,
                )
            assert (put.status, put.etag) == (200, md5(body))
            assert len(store.raw("data", "k").data) == sealed_size(size)
            assert (await wire.get("/data/k")).body == body


class TestChunked:
    @pytest.mark.parametrize("bucket", ["data", "plain"])
    @pytest.mark.parametrize("size", [0, SMALL, LARGE])
    async def test_every_framing(
        self, wire: Wire, store: MemoryStore, bucket: str, size: int
    ) -> None:
        body = body_of(size)
        chunks = [body[at : at + 65536] for at in range(0, size, 65536)]
        trailer = ("x-amz-checksum-crc32", crc32_b64(body))
        for kind, sent in (
            (STREAMING, None),
            (STREAMING_TRAILER, trailer),
            (UNSIGNED_TRAILER, trailer),
        ):
            put = await wire.put_chunked(f"/{bucket}/k", chunks, kind=kind, trailer=sent)
            assert put.status == 200
            got = await wire.get(f"/{bucket}/k")
            assert got.body == body
            assert "content-encoding" not in got.headers
            if bucket == "plain":
                assert store.raw(bucket, "k").data == body
            if sent:
                assert put.headers[trailer[0]] == trailer[1]

    async def test_a_coding_of_the_clients_own_is_kept(self, wire: Wire) -> None:
        headers = {"content-encoding": "gzip,aws-chunked"}
        await wire.put_chunked("/data/k", [b"x"], headers)
        assert (await wire.get("/data/k")).headers["content-encoding"] == "gzip"

    async def test_http_chunks_without_a_length(self, wire: Wire, store: MemoryStore) -> None:
        """Boto3 over HTTPS: Transfer-Encoding: chunked around the aws-chunked framing."""
        head = wire.head(
            "PUT",
            "/data/k",
            headers={
                "content-encoding": "aws-chunked",
                "x-amz-decoded-content-length": "5",
                "x-amz-trailer": "x-amz-checksum-crc32",
                "transfer-encoding": "chunked",
            },
            payload_hash=UNSIGNED_TRAILER,
        )
        async with wire.connect() as connection:
            await connection.send(head)
            await connection.send(
                b"2e\r\n5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n\r\n0\r\n\r\n"
            )
            put = await connection.answer()
        assert (put.status, put.etag) == (200, md5(b"hello"))
        assert (await wire.get("/data/k")).body == b"hello"

    async def test_chunked_without_any_length_is_411(self, wire: Wire, store: MemoryStore) -> None:
        headers = {"transfer-encoding": "chunked"}
        head = wire.head("PUT", "/data/k", headers=headers, payload_hash="UNSIGNED-PAYLOAD")
        async with wire.connect() as connection:
            await connection.send(head + b"5\r\nhello\r\n0\r\n\r\n")
            put = await connection.answer()
        assert (put.status, put.code) == (411, "MissingContentLength")
        assert store.keys("data") == []


CHECKSUMS: dict[str, Callable[[bytes], str]] = {
    "x-amz-checksum-crc32": crc32_b64,
    "x-amz-checksum-sha1": lambda data: b64(hashlib.sha1(data).digest()),
    "x-amz-checksum-sha256": lambda data: b64(hashlib.sha256(data).digest()),
    "x-amz-checksum-sha512": lambda data: b64(hashlib.sha512(data).digest()),
    "x-amz-checksum-md5": content_md5,
}


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("name", CHECKSUMS)
async def test_a_checksum_is_repeated_and_kept(wire: Wire, name: str, size: int) -> None:
    body = body_of(size)
    value = CHECKSUMS[name](body)
    put = await wire.put("/data/k", body, {name: value})
    assert put.headers[name] == value
    assert put.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    asking = {"x-amz-checksum-mode": "ENABLED"}
    got = await wire.get("/data/k", asking)
    assert got.headers[name] == (await wire.inspect("/data/k", asking)).headers[name] == value
    part = await wire.get("/data/k", {**asking, "range": "bytes=0-9"})
    assert part.status == 206
    assert not [header for header in part.headers if header.startswith("x-amz-checksum")]
    assert name not in (await wire.get("/data/k")).headers


def _chunks(body: bytes) -> list[bytes]:
    return [body[at : at + 65536] for at in range(0, len(body), 65536)]


def _trailer(wire: Wire, path: str, body: bytes, kind: str, value: str, **extra):
    trailer = ("x-amz-checksum-crc32", value)
    return wire.put_chunked(path, _chunks(body), kind=kind, trailer=trailer, **extra)


# How a body can break its promise, and what S3 calls that.
BROKEN: dict[str, tuple[Callable[[Wire, str, bytes], Awaitable[Answer]], str]] = {
    "content-md5": (
        lambda w, p, b: w.put(p, b, {"content-md5": content_md5(b + b"!")}),
        "BadDigest",
    ),
    "sha256": (
        lambda w, p, b: w.put(p, b, payload_hash=hashlib.sha256(b + b"!").hexdigest()),
        "XAmzContentSHA256Mismatch",
    ),
    "checksum": (
        lambda w, p, b: w.put(p, b, {"x-amz-checksum-crc32": crc32_b64(b + b"!")}),
        "BadDigest",
    ),
    "first chunk signature": (
        lambda w, p, b: w.put_chunked(p, _chunks(b), spoil=0),
        "SignatureDoesNotMatch",
    ),
    "last chunk signature": (
        lambda w, p, b: w.put_chunked(p, _chunks(b), spoil=len(_chunks(b)) - 1),
        "SignatureDoesNotMatch",
    ),
    "signature of the end": (
        lambda w, p, b: w.put_chunked(p, _chunks(b), spoil=len(_chunks(b))),
        "SignatureDoesNotMatch",
    ),
    "trailer checksum": (
        lambda w, p, b: _trailer(w, p, b, UNSIGNED_TRAILER, crc32_b64(b + b"!")),
        "BadDigest",
    ),
    "signed trailer checksum": (
        lambda w, p, b: _trailer(w, p, b, STREAMING_TRAILER, crc32_b64(b + b"!")),
        "BadDigest",
    ),
    "trailer signature": (
        lambda w, p, b: _trailer(w, p, b, STREAMING_TRAILER, crc32_b64(b), spoil_trailer=True),
        "SignatureDoesNotMatch",
    ),
    "malformed trailer checksum": (
        lambda w, p, b: _trailer(w, p, b, UNSIGNED_TRAILER, "%%%"),
        "InvalidRequest",
    ),
    "trailer missing": (
        lambda w, p, b: w.put_chunked(
            p, _chunks(b), {"x-amz-trailer": "x-amz-checksum-crc32"}, kind=UNSIGNED_TRAILER
        ),
        "MalformedTrailerError",
    ),
    "fewer bytes than the chunks should hold": (
        lambda w, p, b: w.put_chunked(p, _chunks(b), declared=len(b) + 1),
        "IncompleteBody",
    ),
    "more bytes than the chunks should hold": (
        lambda w, p, b: w.put_chunked(p, _chunks(b), declared=len(b) - 1),
        "IncompleteBody",
    ),
    "malformed content-md5": (
        lambda w, p, b: w.put(p, b, {"content-md5": "nonsense"}),
        "InvalidDigest",
    ),
    "content-md5 of another length": (
        lambda w, p, b: w.put(p, b, {"content-md5": b64(b"short")}),
        "InvalidDigest",
    ),
    "malformed checksum": (
        lambda w, p, b: w.put(p, b, {"x-amz-checksum-crc32": "AAA"}),
        "InvalidRequest",
    ),
    "two checksums": (
        lambda w, p, b: w.put(
            p,
            b,
            {
                "x-amz-checksum-crc32": crc32_b64(b),
                "x-amz-checksum-sha1": CHECKSUMS["x-amz-checksum-sha1"](b),
            },
        ),
        "InvalidRequest",
    ),
    "unknown checksum": (
        lambda w, p, b: w.put(p, b, {"x-amz-checksum-adler": "AAAA"}),
        "InvalidRequest",
    ),
    "unknown payload kind": (
        lambda w, p, b: w.put(p, b, payload_hash="STREAMING-NONSENSE"),
        "InvalidArgument",
    ),
}


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("target", ["data", "sse-c", "plain"])
@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("there", [True, False], ids=["over-an-object", "new"])
async def test_a_broken_promise_leaves_the_store_as_it_was(
    wire: Wire, store: MemoryStore, case: str, target: str, size: int, there: bool
) -> None:
    bucket = "plain" if target == "plain" else "data"
    if there:
        await wire.put(f"/{bucket}/k", b"what was there")
    before = state_of(store)
    if target == "sse-c":
        wire.default_headers = customer(KEY)
    send, code = BROKEN[case]
    put: Answer = await send(wire, f"/{bucket}/k", body_of(size))
    assert put.code == code, put.body
    assert 400 <= put.status < 500
    assert state_of(store) == before


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("bucket", ["data", "plain"])
async def test_a_body_that_ends_too_early(
    wire: Wire, store: MemoryStore, bucket: str, size: int
) -> None:
    await wire.put(f"/{bucket}/k", b"what was there")
    before = state_of(store)
    for lost in (1, size // 2, size - 1):
        try:
            put = await wire.put(
                f"/{bucket}/k", body_of(size)[lost:], content_length=size, end=True
            )
        except Dropped:
            pass
        else:
            assert (put.status, put.code) == (400, "IncompleteBody")
        assert state_of(store) == before


@pytest.mark.parametrize("bucket", ["data", "plain"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_bytes_after_the_body_are_not_stored(
    wire: Wire, store: MemoryStore, bucket: str, size: int
) -> None:
    """HTTP has no longer body than declared: what follows is another request, and malformed."""
    body = body_of(size)
    head = wire.head("PUT", f"/{bucket}/k", body)
    async with wire.connect() as connection:
        await connection.send(head + body)
        assert (await connection.answer()).status == 200
        await connection.send(b"\x00\x01surplus\r\n\r\n")
        after = await connection.answer()
        assert (after.status, after.code) == (400, "BadRequest")
        assert await connection.is_closed()
    assert (await wire.get(f"/{bucket}/k")).body == body


async def test_a_client_that_stops_sending_is_not_waited_for(
    serve: Serve, store: MemoryStore
) -> None:
    wire = await serve(limits=Limits(client_idle_s=0.05))
    for bucket, size in (("data", SMALL), ("data", LARGE), ("plain", LARGE)):
        head = wire.head("PUT", f"/{bucket}/k", body_of(size))
        async with wire.connect() as connection:
            await connection.send(head + b"only this")
            put = await connection.answer()
        assert (put.status, put.code) == (400, "RequestTimeout")
        assert store.keys(bucket) == []
