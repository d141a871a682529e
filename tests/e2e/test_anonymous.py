"""Requests without a signature over a real store whose bucket is public."""

from __future__ import annotations

import secrets

import pytest

from tests.e2e.attacks import fresh_bucket, md5_hex, send, signed, take
from tests.proxies import ProxyProcess
from tests.proxy.wire import customer

CUSTOMER = customer(secrets.token_bytes(32))


@pytest.mark.parametrize("size", [5_003, 600_011])
@pytest.mark.parametrize("headers", [{}, CUSTOMER], ids=["sse-s3", "sse-c"])
def test_an_encrypted_object_in_a_public_bucket(
    proxy_http: ProxyProcess, size: int, headers: dict[str, str]
) -> None:
    bucket, plain = fresh_bucket(proxy_http, "public"), secrets.token_bytes(size)
    put = signed(proxy_http, "PUT", f"/{bucket}/object", headers, plain)
    assert put.status == 200
    etag = put.headers["etag"].strip('"')
    raw = take(proxy_http, bucket, "object").data
    target, copy = f"/{bucket}/object", {"x-amz-copy-source": f"/{bucket}/object"}
    asked = [
        ("GET", target, {}),
        ("GET", target, headers),
        ("GET", target, {"range": "bytes=0-9"}),
        ("GET", target, {"range": f"bytes={size}-"}),
        ("GET", target, {"if-none-match": f'"{etag}"'}),
        ("GET", target, {"authorization": ""}),
        ("HEAD", target, {}),
        ("GET", f"{target}?attributes", {"x-amz-object-attributes": "ETag,ObjectSize"}),
        ("GET", f"{target}?torrent", {}),
        ("GET", f"{target}?unknown", {}),
        ("GET", f"{target}?annotation", {}),
        ("PUT", f"/{bucket}/copy", copy),
        ("PUT", f"/{bucket}/new", {}),
    ]
    for method, path, sent in asked:
        got = send(proxy_http.endpoint, method, path, sent)
        said = repr(got.headers).encode() + got.body
        assert got.status == 403, (method, path, sent)
        assert plain[:16] not in said
        assert all(word.encode() not in said for word in (etag, md5_hex(plain), md5_hex(raw)))
        assert got.headers.get("content-length") not in (str(size), str(len(raw)))
    listed = send(proxy_http.endpoint, "GET", f"/{bucket}?list-type=2")
    assert listed.status == 200
    assert f"<Size>{len(raw)}</Size>".encode() in listed.body
    assert etag.encode() not in listed.body


def test_plaintext_in_a_public_bucket(proxy_http: ProxyProcess) -> None:
    bucket, plain = fresh_bucket(proxy_http, "public"), secrets.token_bytes(100_000)
    proxy_http.raw_client().put_object(Bucket=bucket, Key="page", Body=plain)
    target, etag = f"/{bucket}/page", f'"{md5_hex(plain)}"'
    got = send(proxy_http.endpoint, "GET", target)
    assert (got.status, got.body, got.headers["etag"]) == (200, plain, etag)
    part = send(proxy_http.endpoint, "GET", target, {"range": "bytes=-10"})
    assert (part.status, part.body) == (206, plain[-10:])
    assert send(proxy_http.endpoint, "GET", target, {"if-none-match": etag}).status == 304
    assert send(proxy_http.endpoint, "GET", target, {"if-match": '"x"'}).status == 412
    unknown = send(proxy_http.endpoint, "GET", target, {"authorization": "AWS a:b"})
    assert unknown.status == 403
