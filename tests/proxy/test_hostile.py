"""Requests that mean one thing to the proxy and another to a store, or to the next reader."""

from __future__ import annotations

import pytest

from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from tests.proxy.wire import Dropped, Wire, customer
from tests.store.memory import MemoryStore

FORM = "multipart/form-data; boundary=x"


@pytest.fixture
async def wire(serve, store: MemoryStore) -> Wire:
    open_buckets = {"plain": BucketPolicy(SseMode.NONE), "open": BucketPolicy(passthrough=True)}
    started = await serve(buckets=open_buckets)
    store.requests.clear()
    return started


@pytest.mark.parametrize(
    "framing",
    [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: -5",
        "content-length: 0x5",
        "content-length : 5",
        "transfer-encoding: chunked, identity\r\ncontent-length: 5",
        "transfer-encoding: xchunked\r\ncontent-length: 5",
        "transfer-encoding : chunked\r\ncontent-length: 5",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\ncontent-length: 5",
    ],
)
async def test_ambiguous_framing_is_refused(wire: Wire, store: MemoryStore, framing: str) -> None:
    head = wire.head("PUT", "/plain/key", b"", {})
    head = head.replace(b"content-length: 0\r\n", b"")
    smuggled = b"0\r\n\r\nGET /plain/other HTTP/1.1\r\nhost: x\r\n\r\n"
    async with wire.connect() as connection:
        await connection.send(head[:-2] + framing.encode() + b"\r\n\r\n" + smuggled)
        try:
            answer = await connection.answer()
        except Dropped:
            pass
        else:
            assert answer.status >= 400
        assert await connection.is_closed(), "what follows is read as another request"
    assert store.keys("plain") == []
    assert not [asked for asked in store.requests if asked.key == "other"]


@pytest.mark.parametrize("anonymous", [True, False])
@pytest.mark.parametrize(
    "query",
    [
        {"x-amz-meta-a\r\nx-amz-meta-sseproxy": "forged"},
        {"x-amz-meta-a": "b\r\nx-amz-meta-sseproxy: forged"},
        {"x-amz-meta-a": "b\nx"},
        {"x-amz-meta-a": "b\0"},
        {"x-amz-copy-source:/data/key": "v"},
        {"x-amz-copy-source ": "/data/key"},
        {"x-amz-copy-source": "/data/key"},
        {"x-amz-meta-sseproxy": "forged"},
        {"X-Amz-Meta-SSEproxy": "forged"},
        {"x-amz-meta-sseproxy ": "forged"},
        {"x-amz-meta-\u017fseproxy": "forged"},
        {"x-minio-meta-sseproxy": "forged"},
        {"x-cos-meta-sseproxy": "forged"},
    ],
    ids=repr,
)
async def test_no_header_is_forged_through_the_query(
    wire: Wire, store: MemoryStore, query: dict[str, str], anonymous: bool
) -> None:
    answer = await wire.request("PUT", "/plain/key", b"x", query=query, anonymous=anonymous)
    assert answer.status in (400, 501)
    assert not store.requests


@pytest.mark.parametrize(
    "name", ["x-amz-meta-sseproxy", "X-Amz-Meta-Sseproxy", "x-amz-meta-sseproxy-2"]
)
async def test_clients_cannot_set_the_envelope(wire: Wire, store: MemoryStore, name: str) -> None:
    for path in ("/plain/key", "/data/key", "/open/key"):
        assert (await wire.put(path, b"x", {name: "forged"})).status == 400
    assert store.keys("plain") == store.keys("data") == []


@pytest.mark.parametrize("path", ["/data?zzz", "/data?delete", "/data?tagging"])
@pytest.mark.parametrize("in_query", [True, False])
async def test_no_sub_resource_hides_a_form(
    wire: Wire, store: MemoryStore, path: str, in_query: bool
) -> None:
    """A store may look at the content type first, and take the request for a form upload."""
    bare, _, sub = path.partition("?")
    query, headers = {sub: ""}, {"content-type": FORM}
    if in_query:
        query, headers = query | headers, {}
    answer = await wire.request("POST", bare, b"--x--", headers, query=query)
    assert answer.status == 501
    assert not store.requests


async def test_a_passed_through_bucket_takes_no_encryption(wire: Wire, store: MemoryStore) -> None:
    """Its headers never reach the store: the object would lie there in plaintext."""
    store.buckets["open"] = type(store.buckets["plain"])()
    for headers in (customer(bytes(32)), {"x-amz-server-side-encryption": "AES256"}):
        assert (await wire.put("/open/key", b"secret", headers)).status == 400
        assert (await wire.get("/open/key", headers)).status == 400
    assert store.keys("open") == []


@pytest.mark.parametrize("source", ["sseproxy-system/keyring", "/Sseproxy-System/keyring"])
@pytest.mark.parametrize("bucket", ["data", "plain", "open"])
async def test_the_system_bucket_is_no_source(wire: Wire, bucket: str, source: str) -> None:
    answer = await wire.request("PUT", f"/{bucket}/key", b"", {"x-amz-copy-source": source})
    assert (answer.status, answer.code) == (404, "NoSuchBucket")


async def test_an_emptied_object_is_an_integrity_failure(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/data/key", b"what was here")
    store.raw("data", "key").data = b""
    for method, path, headers in (
        ("GET", "/data/key", {}),
        ("GET", "/data/key", {"range": "bytes=0-1"}),
        ("HEAD", "/data/key", {}),
        ("PUT", "/data/copy", {"x-amz-copy-source": "/data/key"}),
        ("PUT", "/plain/copy", {"x-amz-copy-source": "/data/key"}),
    ):
        answer = await wire.request(method, path, b"", headers)
        assert answer.status == 500, (method, path)
    assert wire.proxy.metric("sseproxy_integrity_failures_total", reason="size") == 5
    await wire.put("/plain/empty", b"")
    assert (await wire.inspect("/plain/empty")).headers["content-length"] == "0"
    assert (await wire.copy("/plain/empty", "/data/empty")).status == 200
