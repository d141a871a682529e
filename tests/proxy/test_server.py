"""The HTTP below S3: malformed requests, Expect, and connections that are safe to go on with."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.samples import KEY, LARGE, SMALL, body_of, state_of
from tests.proxy.wire import Connection, Dropped, Wire, customer
from tests.store.memory import Failure, MemoryStore

EXPECT = {"expect": "100-continue"}
MALFORMED = {
    "nonsense": b"nonsense\r\n\r\n",
    "binary": bytes(range(128, 200)) + b"\r\n\r\n",
    "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50 + b"\r\n\r\n",
    "other protocol": b"GET /data/k FTP/1.1\r\nhost: h\r\n\r\n",
    "header without colon": b"GET /data/k HTTP/1.1\r\nhost: h\r\nbroken\r\n\r\n",
    "space before colon": b"GET /data/k HTTP/1.1\r\nhost: h\r\nx-a : b\r\n\r\n",
    "control character": b"GET /data/k HTTP/1.1\r\nhost: h\r\nx-a: a\x00b\r\n\r\n",
    "bad length": b"PUT /data/k HTTP/1.1\r\nhost: h\r\ncontent-length: ten\r\n\r\n",
    "negative length": b"PUT /data/k HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
    "two lengths": (
        b"PUT /data/k HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde"
    ),
    "length and chunks": (
        b"PUT /data/k HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n"
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
}


async def exchange(wire: Wire, data: bytes):
    async with wire.connect() as connection:
        await connection.send(data)
        answer = await connection.answer()
        assert await connection.is_closed()
        return answer


@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_http_is_an_s3_error(wire: Wire, store: MemoryStore, case: str) -> None:
    answer = await exchange(wire, MALFORMED[case])
    assert (answer.status, answer.code) == (400, "BadRequest")
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["server"] == "sseproxy"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    assert store.requests == []
    labels = {"operation": "UnknownService", "mode": "none", "dialect": "s3", "status": "400"}
    assert wire.proxy.metric("sseproxy_requests_total", **labels) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"GET /data/" + b"k" * 40_000 + b" HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /data/k HTTP/1.1\r\nhost: h\r\nx-long: " + b"v" * 40_000 + b"\r\n\r\n",
        b"GET /data/k HTTP/1.1\r\nhost: h\r\nx-" + b"n" * 40_000 + b": v\r\n\r\n",
    ],
    ids=["target", "value", "name"],
)
async def test_oversized_heads(wire: Wire, store: MemoryStore, data: bytes) -> None:
    answer = await exchange(wire, data)
    assert (answer.status, answer.code) == (400, "RequestHeaderSectionTooLarge")
    assert store.requests == []


async def test_a_long_head_that_is_allowed(wire: Wire) -> None:
    """A key of 1,024 bytes, percent-encoded, pre-signed, with long overrides beside it."""
    key = "/".join(["é" * 100] * 5) + "/" + "x" * 19
    assert (await wire.put(f"/data/{key}", b"x")).status == 200
    query = {"response-content-disposition": "é" * 1500}
    assert (await wire.get(f"/data/{key}", query=query, expires_s=60)).body == b"x"


class TestExpect:
    @pytest.mark.parametrize("size", [SMALL, LARGE])
    @pytest.mark.parametrize("bucket", ["data", "plain"])
    async def test_answered_when_the_body_is_wanted(
        self, wire: Wire, store: MemoryStore, bucket: str, size: int
    ) -> None:
        body = body_of(size)
        async with wire.connect() as connection:
            await connection.send(wire.head("PUT", f"/{bucket}/k", body, EXPECT))
            assert (await connection.answer()).status == 100
            await connection.send(body)
            assert (await connection.answer()).status == 200
            await connection.send(wire.head("GET", f"/{bucket}/k"))
            assert (await connection.answer()).body == body

    @pytest.mark.parametrize("path", ["/data/k", "/plain/k", "/sseproxy-system/k", "/nowhere/k"])
    async def test_never_before_authentication(
        self, wire: Wire, store: MemoryStore, path: str
    ) -> None:
        wire.secret_key = "wrong"
        async with wire.connect() as connection:
            await connection.send(wire.head("PUT", path, body_of(LARGE), EXPECT))
            refused = await connection.answer()
            assert (refused.status, refused.code) == (403, "SignatureDoesNotMatch")
            assert refused.headers["connection"] == "close"
            assert await connection.is_closed()
        assert store.requests == []

    @pytest.mark.parametrize(
        ("path", "headers", "query", "status"),
        [
            ("/data/k", {"x-amz-server-side-encryption": "aws:kms"}, {}, 501),
            ("/data/k", {**customer(KEY), "x-amz-server-side-encryption": "AES256"}, {}, 400),
            ("/data/k", {"if-match": '"0"'}, {}, 412),
            ("/data/k", {"content-md5": "x"}, {}, 400),
            ("/data/k", {}, {"append": ""}, 501),
            ("/data/k", {"x-amz-meta-sseproxy": "x"}, {}, 400),
            ("/sseproxy-system/k", {}, {}, 404),
        ],
    )
    async def test_never_for_what_is_refused(
        self,
        wire: Wire,
        store: MemoryStore,
        path: str,
        headers: dict[str, str],
        query: dict[str, str],
        status: int,
    ) -> None:
        await wire.put("/data/k", b"there")
        before = state_of(store)
        head = wire.head("PUT", path, body_of(LARGE), headers | EXPECT, query=query)
        async with wire.connect() as connection:
            await connection.send(head)
            assert (await connection.answer()).status == status
            assert await connection.is_closed()
        assert state_of(store) == before

    async def test_what_follows_a_refusal_is_not_served(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        """It could be the next request, or the body: nobody can tell, so the connection ends."""
        await wire.put("/data/k", b"there")
        deletion = wire.head("DELETE", "/data/k")
        wire.secret_key = "wrong"
        async with wire.connect() as connection:
            head = wire.head("PUT", "/data/k", deletion, EXPECT)
            await connection.send(head)
            assert (await connection.answer()).status == 403
            try:
                await connection.send(deletion)
                await connection.answer()
            except (Dropped, ConnectionError):
                pass
            else:
                pytest.fail("it was answered")
        assert store.keys("data") == ["k"]


class TestKeepAlive:
    async def test_many_requests_on_one_connection(self, wire: Wire, store: MemoryStore) -> None:
        async with wire.connect() as connection:
            for size in (0, SMALL, LARGE):
                body = body_of(size)
                await connection.send(wire.head("PUT", "/data/k", body) + body)
                assert (await connection.answer()).status == 200
                await connection.send(wire.head("GET", "/data/k"))
                assert (await connection.answer()).body == body
                await connection.send(wire.head("HEAD", "/data/k"))
                assert (await connection.answer(head=True)).status == 200
                await connection.send(wire.head("GET", "/data/none"))
                assert (await connection.answer()).status == 404
                await connection.send(wire.head("GET", "/data/k", headers={"if-none-match": "*"}))
                assert (await connection.answer()).status == 304

    async def test_pipelined(self, wire: Wire) -> None:
        await wire.put("/data/a", b"first")
        await wire.put("/data/b", body_of(LARGE))
        heads = [wire.head("GET", f"/data/{key}") for key in ("a", "b", "none", "a")]
        async with wire.connect() as connection:
            await connection.send(b"".join(heads))
            answers = [await connection.answer() for _ in heads]
        assert [answer.status for answer in answers] == [200, 200, 404, 200]
        assert answers[1].body == body_of(LARGE)

    @pytest.mark.parametrize("together", [True, False])
    @pytest.mark.parametrize("padding", [0, 200_000, 3_000_000])
    @pytest.mark.parametrize(
        "why", ["signature", "kms", "condition", "system", "anonymous", "body"]
    )
    async def test_an_unread_body_is_never_a_request(
        self, wire: Wire, store: MemoryStore, why: str, padding: int, together: bool
    ) -> None:
        """The body holds a validly signed DELETE: it must stay a body, after any early error."""
        await wire.put("/data/k", b"there")
        deletion = wire.head("DELETE", "/data/k")
        body = deletion + b"x" * padding
        path, headers, more = "/data/new", {}, {}
        if why == "kms":
            headers = {"x-amz-server-side-encryption": "aws:kms"}
        elif why == "condition":
            path, headers = "/data/k", {"if-match": '"0"'}
        elif why == "system":
            path = "/sseproxy-system/k"
        elif why == "anonymous":
            more = {"anonymous": True}
        elif why == "body":
            headers = {"content-md5": "malformed"}
        sender = Wire(wire.proxy, secret_key="wrong") if why == "signature" else wire
        head = sender.head("PUT", path, body, headers, **more)
        async with wire.connect() as connection:
            await self.send_all(connection, [head + body] if together else [head, body])
            assert 400 <= (await connection.answer()).status < 600
            await self.send_all(connection, [wire.head("GET", "/data/k")])
            try:
                answer = await connection.answer()
            except (Dropped, ConnectionError):
                pass
            else:
                assert (answer.status, answer.body) == (200, b"there")
        assert store.keys("data") == ["k"]
        assert not any(asked.method == "DELETE" for asked in store.requests)

    async def test_the_client_is_told_that_the_connection_ends(self, wire: Wire) -> None:
        head = wire.head("PUT", "/sseproxy-system/k", body_of(LARGE))
        async with wire.connect() as connection:
            await connection.send(head + b"only the beginning")
            refused = await connection.answer()
        assert (refused.status, refused.headers["connection"]) == (404, "close")

    async def send_all(self, connection: Connection, parts: list[bytes]) -> None:
        for part in parts:
            try:
                async with asyncio.timeout(10):
                    await connection.send(part)
            except ConnectionError:
                return  # the answer came first, and the connection went

    @pytest.mark.parametrize("bucket", ["data", "plain"])
    async def test_a_failure_in_mid_body(self, wire: Wire, store: MemoryStore, bucket: str) -> None:
        """The store refuses a large upload at once; its rest is not the next request."""
        await wire.put(f"/{bucket}/k", b"there")
        deletion = wire.head("DELETE", f"/{bucket}/k")
        body = body_of(LARGE) + deletion
        store.fail(Failure(method="PUT", status=500))
        async with wire.connect() as connection:
            await self.send_all(connection, [wire.head("PUT", f"/{bucket}/k", body), body])
            assert (await connection.answer()).status == 500
            await self.send_all(connection, [wire.head("GET", f"/{bucket}/k")])
            try:
                answer = await connection.answer()
            except (Dropped, ConnectionError):
                pass
            else:
                assert (answer.status, answer.body) == (200, b"there")
        assert store.keys(bucket) == ["k"]

    async def test_surplus_after_aws_chunks_is_not_a_request(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/data/k", b"there")
        deletion = wire.head("DELETE", "/data/k")
        framed = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n" + deletion
        headers = {
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": "5",
            "x-amz-trailer": "x-amz-checksum-crc32",
        }
        kind = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        head = wire.head("PUT", "/data/new", framed, headers, payload_hash=kind)
        async with wire.connect() as connection:
            await connection.send(head + framed)
            put = await connection.answer()
            assert (put.status, put.code) == (400, "IncompleteBody")
        assert store.keys("data") == ["k"]


async def test_a_client_that_leaves_in_mid_upload(wire: Wire, store: MemoryStore) -> None:
    for bucket, size in (("data", SMALL), ("data", LARGE), ("plain", SMALL), ("plain", LARGE)):
        await wire.put(f"/{bucket}/k", b"there")
        before = state_of(store)
        body = body_of(size)
        async with wire.connect() as connection:
            await connection.send(wire.head("PUT", f"/{bucket}/k", body) + body[:-1])
        async with asyncio.timeout(10):
            while wire.proxy.services.in_flight:
                await asyncio.sleep(0.001)
        assert state_of(store) == before


async def test_a_client_that_leaves_in_mid_download(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/data/k", body_of(8 * 1024 * 1024))
    async with wire.connect() as connection:
        await connection.send(wire.head("GET", "/data/k"))
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while wire.proxy.services.in_flight:
            await asyncio.sleep(0.001)
    assert (await wire.get("/data/k", {"range": "bytes=0-3"})).status == 206
    assert wire.proxy.metric("sseproxy_requests_in_flight") == 0


async def test_a_refused_head_tells_no_length(wire: Wire) -> None:
    """RFC 9110 §8.6: Content-Length: 0 would say that a GET's answer is empty; it isn't."""
    await wire.put("/data/k", body_of(SMALL))
    refused = await wire.request("HEAD", "/data/k", headers={"if-match": '"other"'})
    assert (refused.status, refused.body) == (412, b"")
    assert "content-length" not in refused.headers
