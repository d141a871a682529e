"""What lies in the store after every way to write: never the plaintext, never a customer's key."""

from __future__ import annotations

import base64
import hashlib
import http.client
import secrets
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.attacks import fresh_bucket, send, signed, take, windows
from tests.proxies import ProxyProcess
from tests.proxy.wire import customer

SMALL_BYTES, LARGE_BYTES = 5_000, 700_001
SSE_S3 = {"x-amz-server-side-encryption": "AES256"}
KEY_A, KEY_B = secrets.token_bytes(32), secrets.token_bytes(32)
SSE_C, SSE_C_B = customer(KEY_A), customer(KEY_B)
FROM_SSE_C = customer(KEY_A, copy_source=True)


def assert_sealed(proxy: ProxyProcess, bucket: str, key: str, plain: bytes) -> None:
    """Not the plaintext, and no window of 16 of its bytes at any offset."""
    raw = take(proxy, bucket, key)
    assert "sseproxy" in raw.metadata
    stored = raw.data + "".join(raw.metadata.values()).encode()
    blocks = set(windows(plain)) | {plain[-16:]}
    assert blocks.isdisjoint(stored[i : i + 16] for i in range(len(stored) - 15))
    for digest in (hashlib.md5(plain, usedforsecurity=False), hashlib.sha256(plain)):
        assert digest.hexdigest().encode() not in stored
        assert base64.b64encode(digest.digest()) not in stored


def reads_back(proxy: ProxyProcess, target: str, plain: bytes, headers: dict[str, str]) -> None:
    got = signed(proxy, "GET", target, headers)
    assert (got.status, got.whole, got.body) == (200, True, plain)


Write = Callable[[ProxyProcess, str, str, bytes], dict[str, str]]


def put_with(headers: dict[str, str]) -> Write:
    def write(proxy: ProxyProcess, bucket: str, key: str, plain: bytes) -> dict[str, str]:
        assert signed(proxy, "PUT", f"/{bucket}/{key}", headers, plain).status == 200
        return headers if headers is not SSE_S3 else {}

    return write


def put_by_sdk(**options) -> Write:
    def write(proxy: ProxyProcess, bucket: str, key: str, plain: bytes) -> dict[str, str]:
        proxy.client().put_object(Bucket=bucket, Key=key, Body=plain, **options)
        return {}

    return write


def put_presigned(proxy: ProxyProcess, bucket: str, key: str, plain: bytes) -> dict[str, str]:
    named = {"Bucket": bucket, "Key": key}
    url = proxy.client().generate_presigned_url("put_object", named)
    got = send(proxy.endpoint, "PUT", url.removeprefix(proxy.endpoint), {}, plain)
    assert got.status == 200, got.body
    return {}


def put_chunked(proxy: ProxyProcess, bucket: str, key: str, plain: bytes) -> dict[str, str]:
    """aws-chunked with an unsigned trailer, as SDKs do over TLS."""
    crc = base64.b64encode(zlib.crc32(plain).to_bytes(4, "big")).decode()
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(plain)),
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
    half = len(plain) // 2
    body = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (plain[:half], plain[half:]))
    body += b"0\r\nx-amz-checksum-crc32:" + crc.encode() + b"\r\n\r\n"
    got = signed(proxy, "PUT", f"/{bucket}/{key}", headers, body)
    assert got.status == 200, got.body
    return {}


def copied(source: dict[str, str], named: dict[str, str], target: dict[str, str]) -> Write:
    """From an object written with `source`, whose key `named` tells, by a copy with `target`."""

    def write(proxy: ProxyProcess, bucket: str, key: str, plain: bytes) -> dict[str, str]:
        assert signed(proxy, "PUT", f"/{bucket}/from", source, plain).status == 200
        headers = {"x-amz-copy-source": f"/{bucket}/from", **named, **target}
        got = signed(proxy, "PUT", f"/{bucket}/{key}", headers)
        assert got.status == 200, got.body
        return target if target is not SSE_S3 else {}

    return write


def copied_from_plaintext(
    proxy: ProxyProcess, bucket: str, key: str, plain: bytes
) -> dict[str, str]:
    """What lay in the store before the proxy came."""
    proxy.raw_client().put_object(Bucket=bucket, Key="old", Body=plain)
    headers = {"x-amz-copy-source": f"/{bucket}/old"}
    assert signed(proxy, "PUT", f"/{bucket}/{key}", headers).status == 200
    return {}


def copied_onto_itself(source: dict[str, str], named: dict[str, str], target: dict[str, str]):
    def write(proxy: ProxyProcess, bucket: str, key: str, plain: bytes) -> dict[str, str]:
        assert signed(proxy, "PUT", f"/{bucket}/{key}", source, plain).status == 200
        headers = {"x-amz-copy-source": f"/{bucket}/{key}", "x-amz-metadata-directive": "REPLACE"}
        got = signed(proxy, "PUT", f"/{bucket}/{key}", headers | named | target)
        assert got.status == 200, got.body
        return target

    return write


def plaintext_onto_itself(
    proxy: ProxyProcess, bucket: str, key: str, plain: bytes
) -> dict[str, str]:
    """The way to encrypt in place what is already there."""
    proxy.raw_client().put_object(Bucket=bucket, Key=key, Body=plain)
    headers = {"x-amz-copy-source": f"/{bucket}/{key}", "x-amz-metadata-directive": "REPLACE"}
    assert signed(proxy, "PUT", f"/{bucket}/{key}", headers).status == 200
    return {}


WRITES: dict[str, Write] = {
    "put": put_with({}),
    "put sse-s3": put_with(SSE_S3),
    "put sse-c": put_with(SSE_C),
    "put by sdk": put_by_sdk(),
    "put by sdk with checksum": put_by_sdk(ChecksumAlgorithm="SHA256"),
    "put presigned": put_presigned,
    "put chunked": put_chunked,
    "copy sse-s3 to sse-s3": copied({}, {}, {}),
    "copy sse-s3 to sse-c": copied({}, {}, SSE_C_B),
    "copy sse-c to sse-s3": copied(SSE_C, FROM_SSE_C, {}),
    "copy sse-c to sse-c": copied(SSE_C, FROM_SSE_C, SSE_C_B),
    "copy plaintext to sse-s3": copied_from_plaintext,
    "self-copy sse-s3": copied_onto_itself({}, {}, {}),
    "self-copy sse-s3 to sse-c": copied_onto_itself({}, {}, SSE_C),
    "self-copy sse-c to another key": copied_onto_itself(SSE_C, FROM_SSE_C, SSE_C_B),
    "self-copy plaintext": plaintext_onto_itself,
}


@pytest.mark.parametrize("size", [SMALL_BYTES, LARGE_BYTES])
def test_no_way_to_write_leaves_plaintext(any_proxy: ProxyProcess, size: int) -> None:
    bucket = fresh_bucket(any_proxy, "rest")
    for number, (name, write) in enumerate(WRITES.items()):
        plain = secrets.token_bytes(size)
        key = f"object-{number}"
        headers = write(any_proxy, bucket, key, plain)
        assert_sealed(any_proxy, bucket, key, plain)
        reads_back(any_proxy, f"/{bucket}/{key}", plain, headers)
        assert any_proxy.raw_get(bucket, key) != plain, name


def test_what_is_asked_not_to_be_encrypted_is_found_by_the_same_search(
    any_proxy: ProxyProcess,
) -> None:
    """The search can find: on plaintext it does."""
    bucket, plain = fresh_bucket(any_proxy, "rest"), secrets.token_bytes(SMALL_BYTES)
    any_proxy.raw_client().put_object(
        Bucket=bucket, Key="plain", Body=b"x" + plain, Metadata={"sseproxy": "A"}
    )
    with pytest.raises(AssertionError):
        assert_sealed(any_proxy, bucket, "plain", plain)


def shapes(secret: bytes) -> list[bytes]:
    """A secret as it might be written down."""
    encoded = base64.b64encode(secret)
    return [
        *(secret, secret.hex().encode(), secret.hex().upper().encode()),
        *(encoded, encoded.rstrip(b"="), base64.urlsafe_b64encode(secret).rstrip(b"=")),
        encoded.replace(b"+", b"%2B").replace(b"/", b"%2F").rstrip(b"="),
    ]


def everything_stored(proxy: ProxyProcess) -> bytes:
    """Every object of every bucket with name and headers, and every file of the store's disk."""
    raw, found = proxy.raw_client(), []
    for bucket in raw.list_buckets()["Buckets"]:
        for page in raw.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            for entry in page.get("Contents", ()):
                answer = raw.get_object(Bucket=bucket["Name"], Key=entry["Key"])
                headers = repr(answer["ResponseMetadata"]["HTTPHeaders"])
                found += [entry["Key"].encode(), headers.encode(), answer["Body"].read()]
    for path in sorted(Path(proxy.store.data_dir).rglob("*")):
        found.append(str(path).encode())
        if path.is_file():
            found.append(path.read_bytes())
    return b"\n".join(found)


def test_the_store_never_gets_a_customer_key(any_proxy: ProxyProcess) -> None:
    bucket = fresh_bucket(any_proxy, "keys")
    key = secrets.token_bytes(32)
    headers, marker = customer(key), uuid.uuid4().hex
    for size in (SMALL_BYTES, LARGE_BYTES):
        plain = secrets.token_bytes(size)
        target = f"/{bucket}/{marker}-{size}"
        assert signed(any_proxy, "PUT", target, headers, plain).status == 200
        reads_back(any_proxy, target, plain, headers)
        assert signed(any_proxy, "HEAD", target, headers).status == 200
        source = {"x-amz-copy-source": target, **customer(key, copy_source=True)}
        copy = signed(any_proxy, "PUT", f"{target}-copy", {**source, **headers})
        assert copy.status == 200
        assert signed(any_proxy, "GET", target, SSE_C).status == 403
    stored = everything_stored(any_proxy)
    assert marker.encode() in stored, "the search sees what is there"
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    for shape in shapes(key) + shapes(digest):
        assert shape not in stored


def test_nothing_opens_an_sse_c_object_without_its_key(any_proxy: ProxyProcess) -> None:
    bucket = fresh_bucket(any_proxy, "keys")
    for size in (0, SMALL_BYTES, LARGE_BYTES):
        plain, target = secrets.token_bytes(size), f"/{bucket}/{size}"
        assert signed(any_proxy, "PUT", target, SSE_C, plain).status == 200
        mixed = SSE_C | {
            n: v for n, v in SSE_C_B.items() if n.endswith("-key")
        }  # one key with the MD5 of another
        etag = signed(any_proxy, "HEAD", target, SSE_C).headers["etag"]
        attributes = {"x-amz-object-attributes": "ETag,ObjectSize,Checksum"}
        copy = {"x-amz-copy-source": target}
        created = any_proxy.client().create_multipart_upload(Bucket=bucket, Key="copy")
        upload = created["UploadId"]
        asked = [
            ("GET", target, {}),
            ("GET", target, {"range": "bytes=0-9"}),
            ("GET", target, {"if-none-match": etag}),
            ("GET", target, {"if-match": etag}),
            ("GET", f"{target}?partNumber=1", {}),
            ("GET", f"{target}?versionId=null", {}),
            ("GET", f"{target}?attributes", attributes),
            ("GET", f"{target}?torrent", {}),
            ("HEAD", target, {}),
            ("PUT", f"/{bucket}/copy", copy),
            ("PUT", target, copy | {"x-amz-metadata-directive": "REPLACE"}),
            ("PUT", f"/{bucket}/copy?partNumber=1&uploadId={upload}", copy),
        ]
        for method, path, headers in asked:
            wrong = customer(KEY_B, copy_source=method == "PUT")
            for key in ({}, wrong, mixed if method != "PUT" else {}):
                got = signed(any_proxy, method, path, {**headers, **key})
                assert got.status in (400, 403, 501), (method, path, headers, got.status)
                assert len(plain) < 32 or plain[:16] not in got.body
                assert str(size) not in got.headers.get("content-length", "") or size == 0
        # The cache knows the object now, and the key still has to be right.
        reads_back(any_proxy, target, plain, SSE_C)
        assert signed(any_proxy, "GET", target, SSE_C_B).status == 403
        part = {"range": "bytes=0-1"}
        assert signed(any_proxy, "GET", target, SSE_C_B | part).status == 403


def test_no_log_and_no_metric_holds_a_secret(any_proxy: ProxyProcess) -> None:
    """Whatever happens, well or badly: keys, secrets and signatures are written nowhere."""
    bucket = fresh_bucket(any_proxy, "logs")
    key, target = secrets.token_bytes(32), f"/{bucket}/object"
    headers = customer(key)
    assert signed(any_proxy, "PUT", target, headers, b"data").status == 200
    assert signed(any_proxy, "GET", target, customer(bytes(32))).status == 403
    named = {"Bucket": bucket, "Key": "object"}
    url = any_proxy.client().generate_presigned_url("get_object", named)
    signature = url.partition("X-Amz-Signature=")[2].partition("&")[0]
    assert send(any_proxy.endpoint, "GET", url.removeprefix(any_proxy.endpoint)).status == 400
    any_proxy.raw_client().copy_object(
        Bucket=bucket, Key="moved", CopySource={"Bucket": bucket, "Key": "object"}
    )
    assert signed(any_proxy, "GET", f"/{bucket}/moved", headers).status == 500
    wrong = (any_proxy.access_key, "not-the-secret")
    assert signed(any_proxy, "GET", target, headers, credentials=wrong).status == 403
    for line in (b"GET /x\x00y HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n"):
        connection = http.client.HTTPConnection(any_proxy.endpoint.split("//")[1], timeout=10)
        connection.connect()
        connection.sock.sendall(line)
        connection.sock.recv(1000)
        connection.close()
    root = next(any_proxy.state.glob("**/root.key")).read_bytes().split()
    written = any_proxy.log_file.read_bytes() + any_proxy.metrics().encode()
    assert b"integrity" in written, "the log and the metrics are the ones"
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    hidden = [*shapes(key), *shapes(digest), signature.encode(), b"AWS4-HMAC-SHA256"]
    hidden += [any_proxy.secret_key.encode(), any_proxy.store.secret_key.encode()]
    hidden += [word for word in root if len(word) >= 32]
    for secret in hidden:
        assert secret not in written
