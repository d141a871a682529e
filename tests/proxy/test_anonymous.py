"""Nobody without a signature learns anything of an encrypted object, by any operation.

Every Operation is walked, against a store that is as careless as one can be: its public bucket
lets anyone do anything, and a sub-resource that it doesn't know is the object itself.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass, replace

import pytest

from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.operations import Operation
from sseproxy.s3.sse import SseMode
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.anonymous_table import EXPECTED, Expected, Sent, requests_of
from tests.proxy.conftest import CREDENTIAL
from tests.proxy.wire import Answer, Wire, content_md5, crc32_b64, customer, md5
from tests.store.memory import Asked, MemoryResponse, MemoryStore

CUSTOMER_KEY = secrets.token_bytes(32)
PUBLIC = "public"
_KNOWN_QUERY = {"versionId", "x-id", "partNumber"}


class CarelessStore(MemoryStore):
    """In its public bucket anyone may do anything; unknown sub-resources are ignored."""

    def _answer(self, asked: Asked, data: bytes) -> MemoryResponse:
        if asked.bucket == PUBLIC:
            asked = replace(asked, credential=CREDENTIAL)
            if asked.key is not None:
                known = {n: v for n, v in asked.query.items() if n in _KNOWN_QUERY}
                asked = replace(asked, query=known)
        return super()._answer(asked, data)


@dataclass(frozen=True)
class Kind:
    """An encrypted object. large: with a trailer."""

    name: str
    size: int
    headers: dict[str, str]


KINDS = [
    Kind("sse-s3-small", 30_011, {"x-amz-server-side-encryption": "AES256"}),
    Kind("sse-s3-large", 600_043, {"x-amz-server-side-encryption": "AES256"}),
    Kind("sse-c-small", 30_013, customer(CUSTOMER_KEY)),
    Kind("sse-c-large", 600_053, customer(CUSTOMER_KEY)),
]


class Secrets:
    """What of one object no anonymous answer may contain."""

    def __init__(self, plain: bytes, etag: str, sealed: bytes) -> None:
        self._blocks = {plain[i : i + 16] for i in range(0, len(plain) - 15, 16)}
        digests = [hashlib.new(name, plain).digest() for name in ("md5", "sha1", "sha256")]
        digests.append(zlib.crc32(plain).to_bytes(4, "big"))
        words = [etag, *(d.hex() for d in digests)]
        self._words = [w.encode() for w in words] + [base64.b64encode(d) for d in digests]
        self._numbers = {len(plain)}
        self._sealed = {md5(sealed).encode()}
        self._sealed_numbers = {len(sealed)}

    def leaks(self, answer: Answer, *, listing: bool) -> list[str]:
        """What an answer tells that it must not; `listing`: it may show the sealed object."""
        headers = "\n".join(f"{n}: {v}" for n, v in answer.headers.items()).encode()
        said = headers + b"\n" + answer.body
        windows = {answer.body[i : i + 16] for i in range(max(0, len(answer.body) - 15))}
        found = ["plaintext"] if windows & self._blocks else []
        words = self._words + ([] if listing else list(self._sealed))
        numbers = self._numbers | (set() if listing else self._sealed_numbers)
        found += [word.decode() for word in words if word in said]
        found += [str(n) for n in numbers if re.search(rb"\b%d\b" % n, said)]
        return found + (["the envelope"] if b"sseproxy" in said.replace(_SERVER, b"") else [])


_SERVER = b"server: sseproxy"


async def stored(wire: Wire, store: MemoryStore, kind: Kind) -> Secrets:
    plain = secrets.token_bytes(kind.size)
    sent = {"content-md5": content_md5(plain), "x-amz-checksum-crc32": crc32_b64(plain)}
    answer = await wire.put(f"/{PUBLIC}/{kind.name}", plain, kind.headers | sent)
    assert answer.status == 200
    return Secrets(plain, answer.etag, store.raw(PUBLIC, kind.name).data)


async def send(wire: Wire, sent: Sent, **headers: str) -> Answer:
    named = sent.headers | {n.replace("_", "-"): v for n, v in headers.items()}
    return await wire.request(
        sent.method, sent.path, sent.body, named, query=sent.query, anonymous=True
    )


def test_every_operation_has_an_expectation() -> None:
    missing = set(Operation) - EXPECTED.keys()
    assert not missing, (
        f"say in anonymous_table.py what they answer to an anonymous request: {missing}"
    )
    assert set(requests_of(PUBLIC, "key")) == set(Operation)


@pytest.fixture(params=[MemoryStore, CarelessStore])
def store(request) -> MemoryStore:
    return request.param("data", "plain", public=[PUBLIC])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_no_operation_tells_of_an_encrypted_object(
    wire: Wire, store: MemoryStore, kind: Kind
) -> None:
    hidden = await stored(wire, store, kind)
    before = copy.deepcopy(store.buckets)
    failed = []
    for operation, sent in requests_of(PUBLIC, kind.name).items():
        store.buckets = copy.deepcopy(before)
        store.requests.clear()
        expected = EXPECTED[operation]
        denials = wire.proxy.metric("sseproxy_anonymous_denials_total", operation=operation.value)
        answer = await send(wire, sent)
        denials -= wire.proxy.metric("sseproxy_anonymous_denials_total", operation=operation.value)
        said = (answer.status, answer.code)
        # A store that ignores a bucket's sub-resource lists the bucket.
        listing = expected is Expected.LISTED or b"<ListBucketResult" in answer.body
        if leaks := hidden.leaks(answer, listing=listing):
            failed.append((operation, said, leaks))
        code = None if sent.method == "HEAD" else "AccessDenied"
        if expected is Expected.DENIED and (said, denials) != ((403, code), -1):
            failed.append((operation, said, denials))
        if expected is Expected.NOT_OFFERED and (answer.status != 501 or store.requests):
            failed.append((operation, said, store.requests))
        if expected is Expected.LISTED and answer.status != 200:
            failed.append((operation, said))
        signed = [
            asked
            for asked in store.requests
            # The proxy's own records go when the store lets an upload be aborted.
            if asked.credential is not None and asked.bucket != SYSTEM_BUCKET
        ]
        if signed:
            failed.append((operation, "asked with a key of the proxy's", signed))
    assert not failed


READS = {
    "whole": {},
    "first bytes": {"range": "bytes=0-9"},
    "last bytes": {"range": "bytes=-9"},
    "past the plain end": {"range": "bytes=600060-"},
    "past the sealed end": {"range": "bytes=9000000-"},
    "with its key": customer(CUSTOMER_KEY),
    "checksums": {"x-amz-checksum-mode": "ENABLED"},
    "if-match *": {"if-match": "*"},
    "if-none-match *": {"if-none-match": "*"},
    "if-modified-since": {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    "if-unmodified-since": {"if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT"},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_no_read_is_an_oracle(wire: Wire, store: MemoryStore, kind: Kind) -> None:
    """Whatever range or condition is guessed, right or wrong: the same refusal."""
    hidden = await stored(wire, store, kind)
    path = f"/{PUBLIC}/{kind.name}"
    etags = [
        store.raw(PUBLIC, kind.name).etag,
        (await wire.inspect(path, kind.headers)).headers.get("etag", "").strip('"'),
    ]
    guesses = [{name: f'"{tag}"'} for tag in etags for name in ("if-match", "if-none-match")]
    queries = [{}, {"partNumber": "1", "response-content-type": "a/b"}]
    for method in ("GET", "HEAD"):
        for headers in (*READS.values(), *guesses):
            for query in queries:
                answer = await send(wire, Sent(method, path, query, headers))
                code = None if method == "HEAD" else "AccessDenied"
                assert (answer.status, answer.code) == (403, code), (method, headers, query)
                assert not hidden.leaks(answer, listing=False)


async def test_public_plaintext_stays_public(wire: Wire, store: MemoryStore) -> None:
    plain = secrets.token_bytes(100_000)
    await store.send(
        CREDENTIAL, "PUT", PUBLIC, "page", headers={"content-type": "text/html"}, body=plain
    )
    etag = f'"{md5(plain)}"'

    async def read(method: str = "GET", **headers: str) -> Answer:
        return await send(wire, Sent(method, f"/{PUBLIC}/page"), **headers)

    whole = await read()
    assert (whole.status, whole.body, whole.headers["etag"]) == (200, plain, etag)
    assert whole.headers["content-type"] == "text/html"
    head = await read("HEAD")
    assert (head.status, head.headers["content-length"]) == (200, "100000")
    part = await read(range="bytes=10-19")
    assert (part.status, part.body) == (206, plain[10:20])
    assert part.headers["content-range"] == "bytes 10-19/100000"
    assert (await read(range="bytes=-7")).body == plain[-7:]
    assert (await read(range="bytes=100000-")).status == 416
    assert (await read(if_none_match=etag)).status == 304
    assert (await read(if_none_match='"other"')).body == plain
    assert (await read(if_match='"other"')).status == 412
    assert (await read(if_match=etag, range="bytes=0-0")).body == plain[:1]
    missing = await send(wire, Sent("GET", f"/{PUBLIC}/nothing"))
    assert (missing.status, missing.code) == (404, "NoSuchKey")


async def test_private_objects_stay_private(wire: Wire) -> None:
    await wire.put("/plain/key", b"for those who sign")
    for path in ("/plain/key", "/data/key", "/plain", "/sseproxy-system/keyring", "/"):
        answer = await send(wire, Sent("GET", path))
        assert answer.status in (403, 404)
        assert b"for those who sign" not in answer.body


class TestAnonymousUploads:
    """The store would take them; the proxy says which."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return CarelessStore("data", "plain", public=[PUBLIC])

    async def test_encrypted_by_default_is_refused(self, wire: Wire, store: MemoryStore) -> None:
        for size in (0, 100, 600_000):
            answer = await send(wire, Sent("PUT", f"/{PUBLIC}/new", body=bytes(size)))
            assert (answer.status, answer.code) == (403, "AccessDenied")
        assert store.keys(PUBLIC) == []

    async def test_encrypted_by_header_is_refused(self, serve, store: MemoryStore) -> None:
        wire = await serve(buckets={PUBLIC: BucketPolicy(SseMode.NONE)})
        for headers in (customer(CUSTOMER_KEY), {"x-amz-server-side-encryption": "AES256"}):
            answer = await send(wire, Sent("PUT", f"/{PUBLIC}/new", headers=headers, body=b"x"))
            assert (answer.status, answer.code) == (403, "AccessDenied")
        assert store.keys(PUBLIC) == []

    @pytest.mark.parametrize("right", [True, False])
    async def test_a_conditional_delete_is_no_oracle(
        self, wire: Wire, store: MemoryStore, right: bool
    ) -> None:
        """A store that lets anyone delete would tell by it what the ciphertext's ETag is."""
        await wire.put(f"/{PUBLIC}/key", b"x", {"x-amz-server-side-encryption": "AES256"})
        etag = store.raw(PUBLIC, "key").etag if right else "0" * 32
        one = Sent("DELETE", f"/{PUBLIC}/key", headers={"if-match": f'"{etag}"'})
        item = f"<Object><Key>key</Key><ETag>{etag}</ETag></Object>"
        many = Sent("POST", f"/{PUBLIC}", {"delete": ""}, body=f"<Delete>{item}</Delete>".encode())
        for sent in (one, many):
            answer = await send(wire, sent)
            assert (answer.status, answer.code) == (403, "AccessDenied")
        assert store.raw(PUBLIC, "key")

    async def test_plain_is_the_stores_decision(self, serve, store: MemoryStore) -> None:
        wire = await serve(buckets={PUBLIC: BucketPolicy(SseMode.NONE), "plain": BucketPolicy()})
        assert (await send(wire, Sent("PUT", f"/{PUBLIC}/new", body=b"x"))).status == 200
        assert store.raw(PUBLIC, "new").data == b"x"
        answer = await send(wire, Sent("PUT", "/plain/new", body=b"x"))
        assert (answer.status, store.keys("plain")) == (403, [])

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
    async def test_copies_from_encrypted_objects(
        self, serve, store: MemoryStore, kind: Kind
    ) -> None:
        """Not even as ciphertext, nor with the key, nor by another spelling of the source."""
        wire = await serve(buckets={PUBLIC: BucketPolicy(SseMode.NONE)})
        await stored(wire, store, kind)
        source = f"{PUBLIC}/{kind.name}"
        spellings = [source, f"/{source}", source.replace("-", "%2D"), f"{source}?versionId=null"]
        for spelling in spellings:
            headers = {"x-amz-copy-source": spelling, **customer(CUSTOMER_KEY, copy_source=True)}
            for query in ({}, {"partNumber": "1", "uploadId": "u"}):
                answer = await send(wire, Sent("PUT", f"/{PUBLIC}/copy", query, headers))
                assert (answer.status, answer.code) == (403, "AccessDenied"), spelling
        assert store.keys(PUBLIC) == [kind.name]


class TestWhatCountsAsAnonymous:
    """Only a request that says nothing of who sends it."""

    @pytest.fixture
    async def wire(self, serve, store: MemoryStore) -> Wire:
        await store.send(CREDENTIAL, "PUT", PUBLIC, "page", body=b"public")
        return await serve()

    @pytest.mark.parametrize("value", ["", " ", "\t"])
    async def test_an_empty_authorization_does(self, wire: Wire, value: str) -> None:
        answer = await send(wire, Sent("GET", f"/{PUBLIC}/page"), authorization=value)
        assert (answer.status, answer.body) == (200, b"public")

    @pytest.mark.parametrize(
        "value",
        [
            "x",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 ",
            "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=",
            "aws4-hmac-sha256 Credential=a/20260101/us-east-1/s3/aws4_request",
            "AWS4-ECDSA-P256-SHA256 Credential=a",
            "AWS CLIENTKEY:c2lnbmF0dXJl",
            "AWS :",
            "Basic Q0xJRU5US0VZOng=",
            "Bearer token",
            "q-sign-algorithm=sha1&q-ak=CLIENTKEY",
            "anonymous",
            ",",
            "\x01",
            "ÿ",
        ],
    )
    async def test_a_broken_or_unknown_scheme_does_not(self, wire: Wire, value: str) -> None:
        answer = await send(wire, Sent("GET", f"/{PUBLIC}/page"), authorization=value)
        assert answer.status in (400, 403)
        assert b"public" not in answer.body.replace(b"/public/page", b"")

    @pytest.mark.parametrize(
        "query",
        [
            {"X-Amz-Signature": "0"},
            {"x-amz-signature": "0"},
            {"X-Amz-Algorithm": ""},
            {"X-Amz-Algorithm": "AWS4-HMAC-SHA256"},
            {"X-Amz-Credential": "CLIENTKEY"},
            {"X-Amz-SignedHeaders": "host"},
            {"AWSAccessKeyId": "CLIENTKEY", "Signature": "x", "Expires": "1"},
            {"awsaccesskeyid": "CLIENTKEY", "signature": "x", "expires": "1"},
            {"Signature": "x"},
            {"q-sign-algorithm": "sha1"},
            {"q-ak": "x"},
            {"q-signature": "x"},
        ],
        ids=str,
    )
    async def test_a_broken_signature_in_the_query_does_not(self, wire: Wire, query) -> None:
        answer = await send(wire, Sent("GET", f"/{PUBLIC}/page", query))
        assert answer.status in (400, 403)
        assert b"public" not in answer.body.replace(b"/public/page", b"")

    async def test_two_authorizations_do_not(self, wire: Wire) -> None:
        head = wire.head("GET", f"/{PUBLIC}/page", anonymous=True)
        twice = head[:-2] + b"authorization: \r\nauthorization: AWS x:y\r\n\r\n"
        async with wire.connect() as connection:
            await connection.send(twice)
            assert (await connection.answer()).status in (400, 403)

    async def test_signed_chunks_need_a_signature(self, wire: Wire) -> None:
        headers = {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}
        sent = Sent("PUT", f"/{PUBLIC}/new", headers=headers, body=b"0;chunk-signature=0\r\n\r\n")
        assert (await send(wire, sent)).status == 403
