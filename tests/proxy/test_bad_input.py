"""Wrong, missing, expired, skewed and malformed: the S3 error of that name, and nothing stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sseproxy.proxy.exchange import Limits
from tests.proxy.conftest import Serve
from tests.proxy.samples import KEY, LARGE, OTHER_KEY, RESERVED, SMALL, body_of, state_of
from tests.proxy.wire import Wire, b64, content_md5, customer, md5
from tests.store.memory import MemoryStore

PREFIX = "x-amz-server-side-encryption-customer-"


class TestSignatures:
    async def failed(self, wire: Wire, store: MemoryStore, status: int, code: str, **extra):
        """Every kind of request fails the same way, and the store never hears of it."""
        before = state_of(store)
        store.requests.clear()
        for method, path in (("GET", "/data/k"), ("PUT", "/data/k"), ("GET", "/"), ("PUT", "/new")):
            body = b"x" if method == "PUT" and path == "/data/k" else b""
            answer = await wire.request(method, path, body, **extra)
            assert (answer.status, answer.code) == (status, code), (method, answer.body)
        assert (await wire.inspect("/data/k", **extra)).status == status
        assert store.requests == []
        assert state_of(store) == before
        reason = {"reason": code}
        assert wire.proxy.metric("sseproxy_authentication_failures_total", **reason) == 5

    async def test_wrong_secret(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", b"there")
        wire.secret_key = "wrong"
        await self.failed(wire, store, 403, "SignatureDoesNotMatch")

    async def test_the_stores_own_secret(self, wire: Wire, store: MemoryStore) -> None:
        """A store key is no client key."""
        wire.access_key, wire.secret_key = "STOREKEY", "store-secret"
        await self.failed(wire, store, 403, "InvalidAccessKeyId")

    async def test_unknown_key(self, wire: Wire, store: MemoryStore) -> None:
        wire.access_key = "NOBODY"
        await self.failed(wire, store, 403, "InvalidAccessKeyId")

    @pytest.mark.parametrize("minutes", [-16, 16])
    async def test_skewed(self, wire: Wire, store: MemoryStore, minutes: int) -> None:
        wire.clock_skew = timedelta(minutes=minutes)
        await self.failed(wire, store, 403, "RequestTimeTooSkewed")

    @pytest.mark.parametrize("minutes", [-14, 14])
    async def test_a_little_skewed(self, wire: Wire, minutes: int) -> None:
        wire.clock_skew = timedelta(minutes=minutes)
        assert (await wire.put("/data/k", b"x")).status == 200

    @pytest.mark.parametrize(
        ("authorization", "status", "code"),
        [
            ("AWS4-HMAC-SHA256", 400, "AuthorizationHeaderMalformed"),
            ("AWS4-HMAC-SHA256 Credential=x", 400, "AuthorizationHeaderMalformed"),
            (
                "AWS4-HMAC-SHA256 Credential=CLIENTKEY/20260101/us-east-1/s3/aws4_request,"
                "SignedHeaders=host,Signature=zz",
                403,
                "AccessDenied",  # there is no date
            ),
        ],
    )
    async def test_malformed(
        self, wire: Wire, store: MemoryStore, authorization: str, status: int, code: str
    ) -> None:
        tamper = {"Authorization": authorization}
        await self.failed(wire, store, status, code, anonymous=True, tamper=tamper)

    @pytest.mark.parametrize("value", ["AWS CLIENTKEY:c2lnbmF0dXJl", "Basic QTpC", "Bearer x", "?"])
    async def test_other_schemes_are_not_anonymous(
        self, wire: Wire, store: MemoryStore, value: str
    ) -> None:
        await wire.put("/plain/k", b"x")
        store.buckets["public"].versions["k"] = [store.raw("plain", "k")]
        store.requests.clear()
        assert (await wire.get("/public/k", anonymous=True)).status == 200
        answer = await wire.get("/public/k", anonymous=True, tamper={"Authorization": value})
        assert answer.status in (400, 403, 501)
        assert len(store.requests) == 1

    async def test_what_was_signed_is_what_is_served(self, wire: Wire, store: MemoryStore) -> None:
        for key in ("k", "other"):
            await wire.put(f"/data/{key}", key.encode())
        before = state_of(store)
        for old, new in (
            (b"GET /data/k", b"GET /data/other"),
            (b"GET /data/k", b"GET /data/k?versionId=1"),
            (b"GET /data/k", b"DELETE /data/k"),
            (b"GET /data/k", b"HEAD /data/k"),
        ):
            head = wire.head("GET", "/data/k")
            assert head.count(old) == 1
            async with wire.connect() as connection:
                await connection.send(head.replace(old, new))
                answer = await connection.answer(head=new.startswith(b"HEAD"))
            assert answer.status == 403, new
        assert state_of(store) == before

    async def test_headers_that_were_not_signed(self, wire: Wire, store: MemoryStore) -> None:
        """Who relays a request can't add a customer key, metadata or a copy source to it."""
        await wire.put("/data/k", b"there")
        before = state_of(store)
        for name, value in (
            ("x-amz-copy-source", "/data/k"),
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-meta-a", "b"),
            ("x-amz-acl", "public-read"),
        ):
            put = await wire.put("/data/k", b"x", tamper={name: value})
            assert (put.status, put.code) == (403, "AccessDenied"), name
        assert state_of(store) == before

    async def test_a_session_token_that_nobody_knows(self, wire: Wire, store: MemoryStore) -> None:
        put = await wire.put("/data/k", b"x", {"x-amz-security-token": "t"})
        assert (put.status, put.code) == (400, "InvalidToken")
        assert store.requests == []

    async def test_a_host_that_is_the_stores(self, serve: Serve, store: MemoryStore) -> None:
        """The store could replay what the proxy signed for it."""
        wire = await serve(refused_hosts=["memory.test:9000"])
        store.requests.clear()
        for host in ("memory.test:9000", "MEMORY.test:9000", "data.memory.test:9000"):
            answer = await wire.get("/data/k", {"host": host})
            assert (answer.status, answer.code) == (403, "AccessDenied"), host
        assert store.requests == []

    async def test_only_hosts_of_ones_own(self, serve: Serve, store: MemoryStore) -> None:
        wire = await serve()
        wire.proxy.services.accepted_hosts = frozenset({"s3.mine"})
        assert (await wire.put("/data/k", b"x")).status == 403
        assert (await wire.put("/data/k", b"x", {"host": "s3.mine"})).status == 200


class TestPresigned:
    async def test_get_and_put(self, wire: Wire, store: MemoryStore) -> None:
        body = body_of(SMALL)
        put = await wire.put("/data/k", body, expires_s=60)
        assert (put.status, put.etag) == (200, md5(body))
        assert body[:16] not in store.raw("data", "k").data
        assert (await wire.get("/data/k", expires_s=60)).body == body
        ranged = await wire.get("/data/k", expires_s=60, tamper={"range": "bytes=1-3"})
        assert (ranged.status, ranged.body) == (206, body[1:4])

    async def test_nothing_of_it_reaches_the_store(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/plain/k", b"x", expires_s=60)
        await wire.get("/plain/k", expires_s=60)
        assert all(asked.query == {} for asked in store.requests)

    async def test_expired(self, wire: Wire, store: MemoryStore) -> None:
        wire.clock_skew = timedelta(seconds=-61)
        for method in ("PUT", "GET"):
            answer = await wire.request(method, "/data/k", b"", expires_s=60)
            assert (answer.status, answer.code) == (403, "AccessDenied")
            assert answer.text("Message") == "Request has expired"
        assert store.requests == []

    async def test_of_the_future(self, wire: Wire) -> None:
        wire.clock_skew = timedelta(minutes=16)
        assert (await wire.get("/data/k", expires_s=60)).status == 403

    @pytest.mark.parametrize("expires_s", [0, -1, 604801])
    async def test_for_too_long(self, wire: Wire, expires_s: int) -> None:
        answer = await wire.get("/data/k", expires_s=expires_s)
        assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"X-Amz-Expires=60", b"X-Amz-Expires=6000"),
            (b"/data/k?", b"/data/k?response-content-type=text/html&"),
            (b"/data/k?", b"/data/k?x-amz-acl=public-read&"),
            (b"Signature=", b"Signature=0"),
            (b"X-Amz-Signature=", b"X-Nothing="),
            (b"X-Amz-SignedHeaders=host", b"X-Amz-SignedHeaders="),
        ],
    )
    async def test_tampered(self, wire: Wire, store: MemoryStore, old: bytes, new: bytes) -> None:
        head = wire.head("PUT", "/data/k", b"x", expires_s=60)
        assert old in head
        async with wire.connect() as connection:
            await connection.send(head.replace(old, new) + b"x")
            answer = await connection.answer()
        assert answer.status in (400, 403), answer.body
        assert store.requests == []

    async def test_a_digest_beside_it_is_verified(self, wire: Wire, store: MemoryStore) -> None:
        tamper = {"content-md5": content_md5(b"other")}
        put = await wire.put("/data/k", b"x", expires_s=60, tamper=tamper)
        assert (put.status, put.code) == (400, "BadDigest")
        assert store.keys("data") == []


def spoilt() -> dict[str, tuple[dict[str, str], str]]:
    """Customer key headers that are wrong in one way each, and the error's code."""
    right, short = customer(KEY), KEY[:31]

    def with_key(key: bytes) -> dict[str, str]:
        return {
            **right,
            f"{PREFIX}key": b64(key),
            f"{PREFIX}key-md5": content_md5(key),
        }

    def without(name: str) -> dict[str, str]:
        return {n: v for n, v in right.items() if n != PREFIX + name}

    return {
        "short key": (with_key(short), "InvalidArgument"),
        "long key": (with_key(KEY + b"!"), "InvalidArgument"),
        "empty key": (with_key(b""), "InvalidArgument"),
        "not base64": ({**right, f"{PREFIX}key": "%" * 44}, "InvalidArgument"),
        "wrong md5": ({**right, f"{PREFIX}key-md5": content_md5(OTHER_KEY)}, "InvalidArgument"),
        "no md5": (without("key-md5"), "InvalidArgument"),
        "no key": (without("key"), "InvalidArgument"),
        "no algorithm": (without("algorithm"), "InvalidArgument"),
        "other algorithm": (
            {**right, f"{PREFIX}algorithm": "AES128"},
            "InvalidEncryptionAlgorithmError",
        ),
    }


@pytest.mark.parametrize("case", spoilt())
class TestCustomerKeyHeaders:
    async def test_on_writes(self, wire: Wire, store: MemoryStore, case: str) -> None:
        headers, code = spoilt()[case]
        await wire.put("/data/k", b"there")
        before = state_of(store)
        for size in (SMALL, LARGE):
            put = await wire.put("/data/k", body_of(size), headers)
            assert (put.status, put.code) == (400, code)
        copied = await wire.copy("data/k", "/data/to", headers)
        assert (copied.status, copied.code) == (400, code)
        assert state_of(store) == before

    async def test_on_reads(self, wire: Wire, case: str) -> None:
        headers, code = spoilt()[case]
        await wire.put("/data/k", b"there", customer(KEY))
        await wire.put("/plain/k", b"there")
        for path in ("/data/k", "/plain/k", "/data/none"):
            got = await wire.get(path, headers)
            assert (got.status, got.code) == (400, code)
            assert (await wire.inspect(path, headers)).status == 400

    async def test_on_a_copys_source(self, wire: Wire, store: MemoryStore, case: str) -> None:
        headers, code = spoilt()[case]
        source = {n.replace("x-amz-", "x-amz-copy-source-", 1): v for n, v in headers.items()}
        await wire.put("/data/k", b"there", customer(KEY))
        copied = await wire.copy("data/k", "/data/to", source)
        assert (copied.status, copied.code) == (400, code)
        assert store.keys("data") == ["k"]


async def test_a_refusal_never_repeats_the_key(wire: Wire) -> None:
    await wire.put("/data/k", b"there", customer(KEY))
    for headers, _ in spoilt().values():
        got = await wire.get("/data/k", headers)
        assert b64(KEY).encode() not in got.body
    wrong = await wire.get("/data/k", customer(OTHER_KEY))
    assert b64(OTHER_KEY).encode() not in wrong.body
    wire.secret_key = "wrong"
    denied = await wire.get("/data/k", customer(KEY))
    assert denied.status == 403
    assert b64(KEY).encode() not in denied.body


async def test_a_mode_is_not_asked_of_a_read(wire: Wire) -> None:
    for path in ("/data/k", "/plain/k"):
        await wire.put(path, b"x")
        got = await wire.get(path, {"x-amz-server-side-encryption": "AES256"})
        assert (got.status, got.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/data/%zz", "InvalidURI"),
        ("/data/%ff", "InvalidURI"),
        ("/data/%2e%2e/other", "InvalidURI"),
        ("/../data/k", "InvalidBucketName"),
        ("/%00/k", "InvalidBucketName"),
        ("/" + "b" * 256 + "/k", "InvalidBucketName"),
    ],
)
async def test_targets(wire: Wire, store: MemoryStore, target: str, code: str) -> None:
    head = f"GET {target} HTTP/1.1\r\nhost: {wire.host}\r\n\r\n"
    async with wire.connect() as connection:
        await connection.send(head.encode())
        answer = await connection.answer()
    assert (answer.status, answer.code) == (400, code)
    assert store.requests == []


async def test_reserved_metadata_in_a_query(wire: Wire, store: MemoryStore) -> None:
    put = await wire.put("/plain/k", b"x", query={RESERVED: "AQ"})
    assert (put.status, put.code) == (400, "InvalidArgument")
    assert store.requests == []


async def test_an_error_names_resource_and_request(wire: Wire) -> None:
    got = await wire.get("/data/none", {"x-amz-server-side-encryption-customer-algorithm": "x"})
    assert got.headers["content-type"] == "application/xml"
    assert got.text("Resource") == "/data/none"
    assert got.text("RequestId") == got.headers["x-amz-request-id"]
    assert got.text("Message")


async def test_too_many_at_once(serve: Serve, store: MemoryStore) -> None:
    wire = await serve(limits=Limits(max_requests=0))
    got = await wire.get("/data/k")
    assert (got.status, got.code) == (503, "SlowDown")
    assert int(got.headers["retry-after"]) >= 1
