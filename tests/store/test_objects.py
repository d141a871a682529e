"""How a request to the store is addressed and signed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from sseproxy.s3.claims import parse_claim
from sseproxy.s3.request import make_head
from sseproxy.s3.sigv4 import RequestSigner, SigV4Claim
from sseproxy.secret import Secret
from sseproxy.store.client import HttpPool
from sseproxy.store.objects import Addressing, S3Store, StoreCredential

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CREDENTIAL = StoreCredential("AK", Secret("the-secret"))


class Recorder(HttpPool):
    """A pool that keeps what it would send."""

    def __init__(self) -> None:
        super().__init__("http://store.test:9000")
        self.sent: list[tuple[str, str, dict[str, str], Any]] = []

    async def request(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: Any = None
    ) -> Any:
        self.sent.append((method, target, dict(headers), body))


def make(**options: Any) -> tuple[Recorder, S3Store]:
    pool = Recorder()
    return pool, S3Store(pool, clock=lambda: NOW, **options)


@pytest.mark.parametrize(
    ("bucket", "key", "host", "target"),
    [
        (None, None, "store.test:9000", "/"),
        (None, "minio/health/live", "store.test:9000", "/minio/health/live"),
        ("b", None, "store.test:9000", "/b"),
        ("b", "k", "store.test:9000", "/b/k"),
        ("b", "/a//../%2F +", "store.test:9000", "/b//a//../%252F%20%2B"),
        ("b", "é🎈", "store.test:9000", "/b/%C3%A9%F0%9F%8E%88"),
    ],
)
async def test_path_style(bucket: str | None, key: str | None, host: str, target: str) -> None:
    pool, store = make()
    await store.send(CREDENTIAL, "GET", bucket, key)
    _, sent, headers, _ = pool.sent[0]
    assert (sent, headers["host"]) == (target, host)


@pytest.mark.parametrize(("key", "target"), [(None, "/"), ("a b", "/a%20b")])
async def test_virtual_host_style(key: str | None, target: str) -> None:
    pool, store = make(addressing=Addressing.VIRTUAL)
    await store.send(CREDENTIAL, "GET", "b", key)
    _, sent, headers, _ = pool.sent[0]
    assert (sent, headers["host"]) == (target, "b.store.test:9000")
    assert store.host == "store.test:9000"


async def test_the_query_is_encoded_in_the_order_given() -> None:
    pool, store = make()
    await store.send(CREDENTIAL, "GET", "b", None, query=[("uploads", ""), ("prefix", "a/b c")])
    assert pool.sent[0][1] == "/b?uploads=&prefix=a%2Fb%20c"


async def test_an_anonymous_request_carries_no_signature() -> None:
    pool, store = make()
    await store.send(None, "GET", "b", "k", headers={"range": "bytes=0-1"})
    assert pool.sent[0][2] == {"range": "bytes=0-1", "host": "store.test:9000"}


async def test_amz_headers_given_are_signed_and_the_secret_does_not_appear() -> None:
    pool, store = make()
    given = {"x-amz-meta-a": "1", "content-type": "t"}
    await store.send(CREDENTIAL, "PUT", "b", "k", headers=given, body=b"data")
    _, target, headers, body = pool.sent[0]
    claim = parse_claim(make_head("PUT", target, headers.items(), secure=False))
    assert isinstance(claim, SigV4Claim)
    assert {"host", "x-amz-meta-a", "x-amz-date", "x-amz-content-sha256"} <= set(
        claim.signed_headers
    )
    assert (claim.access_key, claim.region, body) == ("AK", "us-east-1", b"data")
    assert "the-secret" not in repr(headers)
    assert "the-secret" not in repr(CREDENTIAL)


async def test_the_token_of_a_temporary_key_is_sent_and_signed() -> None:
    pool, store = make()
    temporary = StoreCredential("AK", Secret("the-secret"), Secret("the-token"))
    for credential in (temporary, CREDENTIAL, None):
        await store.send(credential, "GET", "b", "k")
    target, headers = pool.sent[0][1:3]
    claim = parse_claim(make_head("GET", target, headers.items(), secure=False))
    assert isinstance(claim, SigV4Claim)
    assert "x-amz-security-token" in claim.signed_headers
    assert claim.session_token == "the-token"
    assert "the-token" not in repr(temporary)
    assert all("x-amz-security-token" not in headers for _, _, headers, _ in pool.sent[1:])


async def test_payloads_are_signed_only_when_asked_and_at_hand() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"data"

    hashes = []
    for sign in (False, True):
        pool, store = make(sign_payloads=sign)
        await store.send(CREDENTIAL, "PUT", "b", "k", body=b"data")
        await store.send(CREDENTIAL, "PUT", "b", "k", body=body(), content_length=4)
        hashes += [headers["x-amz-content-sha256"] for _, _, headers, _ in pool.sent]
        assert pool.sent[1][2]["content-length"] == "4"
    digest = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
    assert hashes == ["UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD", digest, "UNSIGNED-PAYLOAD"]


async def test_a_changed_secret_of_the_same_access_key_is_used() -> None:
    pool, store = make()
    other = StoreCredential("AK", Secret("another"))
    for credential in (CREDENTIAL, other, CREDENTIAL):
        await store.send(credential, "GET", "b", "k")
    signatures = [headers["authorization"] for _, _, headers, _ in pool.sent]
    assert signatures[0] == signatures[2] != signatures[1]
    expected = RequestSigner("AK", other.secret, "us-east-1").sign(
        "GET", store.host, "/b/k", [], {}, payload_hash="UNSIGNED-PAYLOAD", now=NOW
    )
    assert signatures[1] == expected["authorization"]
