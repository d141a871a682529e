"""PutObject: what is stored, and what is answered."""

from __future__ import annotations

import asyncio

import pytest

from sseproxy.proxy.put import MAX_SINGLE_PUT_BYTES
from tests.proxy.conftest import CREDENTIAL
from tests.proxy.samples import BOUNDARIES, KEY, LARGE, RESERVED, SMALL, body_of, sealed_size
from tests.proxy.wire import Wire, b64, content_md5, crc32_b64, customer, md5
from tests.store.memory import MemoryStore


class TestStored:
    @pytest.mark.parametrize("size", BOUNDARIES)
    @pytest.mark.parametrize("key", [None, KEY], ids=["sse-s3", "sse-c"])
    async def test_sealed_and_whole_again(
        self, wire: Wire, store: MemoryStore, size: int, key: bytes | None
    ) -> None:
        body, headers = body_of(size), customer(key) if key else {}
        put = await wire.put("/data/k", body, headers)
        assert put.status == 200
        raw = store.raw("data", "k")
        assert len(raw.data) == sealed_size(size)
        assert raw.data.startswith(b"\x93SSEPRX\n")
        assert size < 16 or body[:16] not in raw.data
        assert size < 16 or body[-16:] not in raw.data
        assert RESERVED in raw.headers
        got = await wire.get("/data/k", headers)
        assert (got.status, got.body) == (200, body)
        assert got.headers["content-length"] == str(size)
        assert got.etag == put.etag
        assert RESERVED not in got.headers

    async def test_etag_is_the_md5_for_sse_s3_only(self, wire: Wire) -> None:
        for size in (0, SMALL, LARGE):
            body = body_of(size)
            assert (await wire.put("/data/k", body)).etag == md5(body)
            with_key = await wire.put("/data/c", body, customer(KEY))
            again = await wire.put("/data/c", body, customer(KEY))
            assert md5(body) not in (with_key.etag, again.etag)
            assert with_key.etag != again.etag
            assert len(with_key.etag) == 32

    async def test_the_answer_names_the_mode(self, wire: Wire) -> None:
        put = await wire.put("/data/k", b"x")
        assert put.headers["x-amz-server-side-encryption"] == "AES256"
        put = await wire.put("/data/k", b"x", customer(KEY))
        assert put.headers["x-amz-server-side-encryption-customer-algorithm"] == "AES256"
        assert put.headers["x-amz-server-side-encryption-customer-key-md5"] == content_md5(KEY)
        assert "x-amz-server-side-encryption" not in put.headers
        assert b64(KEY) not in str(put.headers)

    async def test_the_same_bytes_are_never_sealed_the_same(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        seen = set()
        for _ in range(3):
            await wire.put("/data/k", b"x" * SMALL)
            seen.add(store.raw("data", "k").data[80:])
        assert len(seen) == 3

    async def test_no_customer_key_and_no_plain_digest_reaches_the_store(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        body = body_of(SMALL)
        headers = {"content-md5": content_md5(body), "x-amz-checksum-crc32": crc32_b64(body)}
        await wire.put("/data/k", body, {**customer(KEY), **headers})
        told = repr(store.requests) + repr(store.raw("data", "k"))
        for secret in (b64(KEY), repr(KEY), content_md5(KEY), *headers.values(), md5(body)):
            assert secret not in told

    async def test_the_store_key_signs(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", b"x")
        (asked,) = store.requests
        assert (asked.method, asked.credential) == ("PUT", CREDENTIAL)
        assert "authorization" not in asked.headers

    async def test_headers_of_the_object_are_kept(self, wire: Wire, store: MemoryStore) -> None:
        sent = {
            "content-type": "text/csv",
            "cache-control": "max-age=3",
            "content-disposition": 'attachment; filename="a b.csv"',
            "content-encoding": "gzip",
            "content-language": "de",
            "expires": "Thu, 01 Dec 2033 16:00:00 GMT",
            "x-amz-meta-colour": "blue",
            "x-amz-storage-class": "STANDARD_IA",
        }
        for bucket in ("data", "plain"):
            await wire.put(f"/{bucket}/k", b"x", sent)
            got = await wire.get(f"/{bucket}/k")
            assert {name: got.headers.get(name) for name in sent} == sent

    async def test_the_reserved_metadata_is_refused(self, wire: Wire, store: MemoryStore) -> None:
        for bucket in ("data", "plain"):
            put = await wire.put(f"/{bucket}/k", b"x", {RESERVED: "AQ"})
            assert (put.status, put.code) == (400, "InvalidArgument")
            assert store.keys(bucket) == []

    async def test_boto3(self, wire: Wire) -> None:
        client = await asyncio.to_thread(wire.proxy.client)
        body = body_of(LARGE)
        put = await asyncio.to_thread(client.put_object, Bucket="data", Key="k", Body=body)
        assert put["ServerSideEncryption"] == "AES256"
        assert put["ETag"] == f'"{md5(body)}"'
        got = await asyncio.to_thread(client.get_object, Bucket="data", Key="k")
        assert await asyncio.to_thread(got["Body"].read) == body
        await asyncio.to_thread(got["Body"].close)
        await asyncio.to_thread(client.close)


class TestKeys:
    @pytest.mark.parametrize(
        "key",
        [
            *("a//b", "a/../b", "./a", "a/.", "%2F", "%", "a+b c", "ü/😀", "/lead", "end/"),
            *("'\"<>&", "a?b#c", "tab\there", "~-_.!*()", "k" * 250 + "/" + "x" * 250),
        ],
    )
    async def test_any_name_arrives_as_sent(self, wire: Wire, store: MemoryStore, key: str) -> None:
        put = await wire.put(f"/data/{key}", key.encode())
        assert put.status == 200
        assert store.keys("data") == [key]
        assert (await wire.get(f"/data/{key}")).body == key.encode()

    async def test_a_name_that_leads_out_of_its_bucket(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        for key in ("../other/k", "a/../../other/k", "..", "../../etc"):
            put = await wire.put(f"/data/{key}", b"x")
            assert (put.status, put.code) == (400, "InvalidURI")
        assert store.requests == []

    async def test_1024_bytes_are_the_longest(self, wire: Wire, store: MemoryStore) -> None:
        longest = "/".join(["é" * 100] * 5) + "/" + "x" * 19
        assert len(longest.encode()) == 1024
        assert (await wire.put(f"/data/{longest}", b"x")).status == 200
        assert (await wire.get(f"/data/{longest}")).body == b"x"
        refused = await wire.put(f"/data/{longest}x", b"x")
        assert (refused.status, refused.code) == (400, "KeyTooLongError")
        assert store.keys("data") == [longest]


async def test_more_than_five_gigabytes_is_refused_unread(wire: Wire, store: MemoryStore) -> None:
    put = await wire.put("/data/k", b"x", content_length=MAX_SINGLE_PUT_BYTES + 1)
    assert (put.status, put.code) == (400, "EntityTooLarge")
    assert store.requests == []


async def test_bytes_are_counted(wire: Wire) -> None:
    metric = wire.proxy.metric
    await wire.put("/data/k", body_of(LARGE))
    await wire.put("/data/c", body_of(SMALL), customer(KEY))
    await wire.put("/plain/k", body_of(SMALL))
    assert metric("sseproxy_plain_bytes_total", direction="in", mode="sse-cos") == LARGE
    assert metric("sseproxy_sealed_bytes_total", direction="in", mode="sse-cos") == sealed_size(
        LARGE
    )
    assert metric("sseproxy_plain_bytes_total", direction="in", mode="sse-c") == SMALL
    assert metric("sseproxy_plain_bytes_total", direction="in", mode="none") == SMALL
    for mode in ("sse-cos", "sse-c", "none"):
        labels = {"operation": "PutObject", "mode": mode, "dialect": "s3", "status": "200"}
        assert metric("sseproxy_requests_total", **labels) == 1
