"""HeadObject and GetObjectAttributes: what GET would say, without a body."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.proxy.samples import BOUNDARIES, KEY, LARGE, OTHER_KEY, SMALL, body_of
from tests.proxy.wire import Wire, content_md5, crc32_b64, customer, md5
from tests.store.memory import MemoryStore

ASKED = {"x-amz-object-attributes": "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"}
DIFFER = {"date", "x-amz-request-id"}


@pytest.mark.parametrize("size", BOUNDARIES)
@pytest.mark.parametrize("key", [None, KEY], ids=["sse-s3", "sse-c"])
async def test_the_headers_of_get(wire: Wire, size: int, key: bytes | None) -> None:
    headers = customer(key) if key else {}
    put = await wire.put("/data/k", body_of(size), {**headers, "x-amz-meta-a": "b"})
    for extra in ({}, *([{"range": "bytes=0-0"}] if size else [])):
        get = await wire.get("/data/k", headers | extra)
        head = await wire.inspect("/data/k", headers | extra)
        assert head.status == get.status
        assert {n: v for n, v in head.headers.items() if n not in DIFFER} == {
            n: v for n, v in get.headers.items() if n not in DIFFER
        }
        assert head.headers["x-amz-meta-a"] == "b"
        assert head.etag == put.etag
        mode = "x-amz-server-side-encryption"
        if key:
            assert head.headers[f"{mode}-customer-algorithm"] == "AES256"
            assert head.headers[f"{mode}-customer-key-md5"] == content_md5(key)
        else:
            assert head.headers[mode] == "AES256"


async def test_it_costs_one_request_and_no_data(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/data/k", body_of(LARGE))
    store.requests.clear()
    await wire.inspect("/data/k")
    (asked,) = store.requests
    assert asked.headers["range"] == "bytes=-256"


async def test_an_error_has_no_body(wire: Wire) -> None:
    await wire.put("/data/k", b"x", customer(KEY))
    for path, headers, status in (
        ("/data/none", {}, 404),
        ("/data/k", {}, 400),
        ("/data/k", customer(OTHER_KEY), 403),
        ("/data/k", {"x-amz-server-side-encryption": "AES256"}, 400),
    ):
        head = wire.head("HEAD", path, headers=headers)
        async with wire.connect() as connection:
            await connection.send(head)
            assert (await connection.answer(head=True)).status == status
            # A body would be taken for the head of the next answer.
            await connection.send(head)
            assert (await connection.answer(head=True)).status == status


class TestAttributes:
    @pytest.mark.parametrize("size", [0, SMALL, LARGE])
    async def test_all(self, wire: Wire, size: int) -> None:
        body = body_of(size)
        await wire.put("/data/k", body, {"x-amz-checksum-crc32": crc32_b64(body)})
        got = await wire.get("/data/k", ASKED, query={"attributes": ""})
        assert got.status == 200
        assert got.text("ETag") == md5(body)
        assert got.text("ObjectSize") == str(size)
        assert got.text("ChecksumCRC32") == crc32_b64(body)
        assert got.text("StorageClass") == "STANDARD"
        assert "last-modified" in got.headers

    async def test_only_what_was_asked(self, wire: Wire) -> None:
        await wire.put("/data/k", body_of(SMALL))
        asked = {"x-amz-object-attributes": "ObjectSize"}
        got = await wire.get("/data/k", asked, query={"attributes": ""})
        names = [etree.QName(item).localname for item in etree.fromstring(got.body)]
        assert names == ["ObjectSize"]

    async def test_a_customer_key_is_needed(self, wire: Wire) -> None:
        put = await wire.put("/data/k", body_of(SMALL), customer(KEY))
        query = {"attributes": ""}
        assert (await wire.get("/data/k", ASKED, query=query)).code == "InvalidRequest"
        wrong = await wire.get("/data/k", ASKED | customer(OTHER_KEY), query=query)
        assert (wrong.status, wrong.code) == (403, "AccessDenied")
        right = await wire.get("/data/k", ASKED | customer(KEY), query=query)
        assert right.text("ETag") == put.etag
