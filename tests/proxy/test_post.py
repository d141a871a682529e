"""Form uploads: what they store, and how they are answered."""

from __future__ import annotations

import asyncio

import pytest
import urllib3

from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from tests.proxy.conftest import Serve
from tests.proxy.forms import post, presigned
from tests.proxy.wire import Wire, content_md5, crc32_b64, customer, md5
from tests.store.memory import Failure, MemoryStore

KEY = bytes(range(32))
SSE = "x-amz-server-side-encryption"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
async def test_boto3s_form_is_stored_encrypted(
    wire: Wire, store: MemoryStore, version: str
) -> None:
    fields = await asyncio.to_thread(presigned, wire, "data", "dir/a b", version=version)
    assert ("AWSAccessKeyId" in fields) == (version == "s3")
    fields["file"] = ("up.txt", b"the plaintext of a form")

    def send() -> urllib3.BaseHTTPResponse:
        with urllib3.PoolManager() as pool:
            return pool.request("POST", f"{wire.proxy.endpoint}/data", fields=fields)

    answer = await asyncio.to_thread(send)
    assert answer.status == 204
    assert answer.headers["etag"] == f'"{md5(b"the plaintext of a form")}"'
    assert answer.headers["location"] == f"{wire.proxy.endpoint}/data/dir%2Fa%20b"
    assert answer.headers[SSE] == "AES256"
    got = await wire.get("/data/dir/a b")
    assert (got.status, got.body) == (200, b"the plaintext of a form")
    assert b"plaintext" not in store.raw("data", "dir/a b").data
    assert not [asked for asked in store.requests if asked.method == "POST"]


async def test_fields_become_the_objects_headers(wire: Wire, store: MemoryStore) -> None:
    given = {
        "Content-Type": "image/png",
        "Cache-Control": "no-store",
        "Content-Disposition": 'attachment; filename="x"',
        "Content-Language": "de",
        "Expires": "Wed, 21 Oct 2037 07:28:00 GMT",
        "x-amz-meta-colour": "grün",
        "x-amz-storage-class": "STANDARD",
        "x-amz-website-redirect-location": "/other",
        "acl": "private",
        "tagging": "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag></TagSet>"
        "</Tagging>",
    }
    fields = presigned(wire, "data", "k", given)
    assert (await post(wire, "data", fields)).status == 204
    [put] = [asked for asked in store.requests if asked.method == "PUT"]
    assert put.key == "k"
    for name, value in given.items():
        if name not in ("acl", "tagging"):
            assert put.headers[name.lower()] == value
    assert put.headers["x-amz-acl"] == "private"
    assert put.headers["x-amz-tagging"] == "a%20b=1%262"
    assert not [name for name in put.headers if "policy" in name or "signature" in name]
    assert "x-amz-credential" not in put.headers
    head = await wire.inspect("/data/k")
    assert head.headers["content-type"] == "image/png"
    assert head.headers["x-amz-meta-colour"].encode("latin-1").decode() == "grün"


async def test_the_files_own_type_and_the_requests_headers_set_nothing(
    wire: Wire, store: MemoryStore
) -> None:
    fields = presigned(wire, "data", "k")
    headers = {"x-amz-meta-a": "1", "x-amz-acl": "public-read", "cache-control": "no-store"}
    assert (await post(wire, "data", fields, headers=headers)).status == 204
    [put] = [asked for asked in store.requests if asked.method == "PUT"]
    assert put.headers.keys().isdisjoint({*headers, "content-type"})


@pytest.mark.parametrize("size", [0, 1, 524_287, 524_288, 524_289, 3_000_000])
async def test_sizes(wire: Wire, store: MemoryStore, size: int) -> None:
    file = bytes(range(251)) * (size // 251 + 1)
    file = file[:size]
    fields = presigned(wire, "data", "k")
    answer = await post(wire, "data", fields, file, splits=(1, 100, 700, 1500, 2_000_000))
    assert (answer.status, answer.etag) == (204, md5(file))
    got = await wire.get("/data/k")
    assert got.body == file
    assert (got.etag, got.headers["content-length"]) == (md5(file), str(size))
    assert size < 20 or file[:20] not in store.raw("data", "k").data


@pytest.mark.parametrize("bucket", ["data", "plain"])
async def test_a_customer_key_comes_in_fields(wire: Wire, store: MemoryStore, bucket: str) -> None:
    fields = presigned(wire, bucket, "k", customer(KEY))
    answer = await post(wire, bucket, fields, b"plaintext under a customer's key")
    assert answer.status == 204
    assert answer.headers[f"{SSE}-customer-algorithm"] == "AES256"
    assert answer.headers[f"{SSE}-customer-key-md5"] == content_md5(KEY)
    assert answer.etag != md5(b"plaintext under a customer's key")
    assert (await wire.get(f"/{bucket}/k")).status == 400
    got = await wire.get(f"/{bucket}/k", customer(KEY))
    assert got.body == b"plaintext under a customer's key"
    assert b"plaintext" not in store.raw(bucket, "k").data
    [put] = [asked for asked in store.requests if asked.method == "PUT"]
    assert not [name for name in put.headers if name.startswith(SSE)]


async def test_a_field_chooses_encryption_in_a_plain_bucket(wire: Wire, store: MemoryStore) -> None:
    assert (await post(wire, "plain", presigned(wire, "plain", "a"), b"as it is")).status == 204
    assert store.raw("plain", "a").data == b"as it is"
    fields = presigned(wire, "plain", "b", {SSE: "AES256"})
    answer = await post(wire, "plain", fields, b"as it is")
    assert (answer.status, answer.headers[SSE]) == (204, "AES256")
    assert b"as it is" not in store.raw("plain", "b").data
    assert (await wire.get("/plain/b")).body == b"as it is"


async def test_cos_fields_are_answered_in_their_dialect(wire: Wire) -> None:
    fields = presigned(wire, "data", "k", {"x-cos-server-side-encryption": "AES256"})
    answer = await post(wire, "data", fields, b"123456789")
    assert answer.status == 204
    assert answer.headers["x-cos-server-side-encryption"] == "AES256"
    assert answer.headers["x-cos-hash-crc64ecma"] == "11051210869376104954"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 204),
        ({"success_action_status": "200"}, 200),
        ({"success_action_status": "201"}, 201),
        ({"success_action_status": "404"}, 204),
        ({"success_action_redirect": "not an address", "success_action_status": "200"}, 200),
        ({"success_action_redirect": "http://example.com/done?a=b"}, 303),
        ({"redirect": "https://example.com/old"}, 303),
    ],
)
async def test_the_answer_is_the_one_asked_for(
    wire: Wire, given: dict[str, str], status: int
) -> None:
    answer = await post(wire, "data", presigned(wire, "data", "d/ü&", given), b"abc")
    assert (answer.status, answer.etag) == (status, md5(b"abc"))
    location = f"{wire.proxy.endpoint}/data/d%2F%C3%BC%26"
    result = f"bucket=data&key=d%2F%C3%BC%26&etag=%22{md5(b'abc')}%22"
    if status == 303:
        target = given.get("success_action_redirect") or given["redirect"]
        location = f"{target}{'&' if '?' in target else '?'}{result}"
    assert answer.headers["location"] == location
    if status == 201:
        assert answer.headers["content-type"] == "application/xml"
        assert b"<PostResponse><Location>" in answer.body
        content = {name: answer.text(name) for name in ("Location", "Bucket", "Key", "ETag")}
        assert content == {
            "Location": location,
            "Bucket": "data",
            "Key": "d/ü&",
            "ETag": f'"{md5(b"abc")}"',
        }
    else:
        assert answer.body == b""
    assert (await wire.get("/data/d/ü&")).body == b"abc"


async def test_a_host_that_names_the_bucket(serve: Serve) -> None:
    wire = await serve(domains=["s3.test"])
    fields = presigned(wire, "data", "a/b")
    answer = await post(wire, "data", fields, path="/", headers={"host": "data.s3.test"})
    assert (answer.status, answer.headers["location"]) == (204, "http://data.s3.test/a%2Fb")
    assert (await wire.get("/data/a/b")).body == b"the file"


async def test_the_files_name_is_put_in_place(wire: Wire) -> None:
    given = {"x-amz-meta-name": "${filename}"}
    fields = presigned(
        wire, "data", "in/${filename}", given, [["starts-with", "$x-amz-meta-name", ""]]
    )
    path = "C:\\folder\\other/a b.txt"
    assert (await post(wire, "data", fields, filename=path)).status == 204
    head = await wire.inspect("/data/in/a b.txt")
    assert (head.status, head.headers["x-amz-meta-name"]) == (200, "a b.txt")


async def test_digests_are_verified_and_repeated(wire: Wire, store: MemoryStore) -> None:
    given = {"Content-MD5": content_md5(b"abc"), "x-amz-checksum-crc32": crc32_b64(b"abc")}
    answer = await post(wire, "data", presigned(wire, "data", "k", given), b"abc")
    assert (answer.status, answer.headers["x-amz-checksum-crc32"]) == (204, crc32_b64(b"abc"))
    [put] = [asked for asked in store.requests if asked.method == "PUT"]
    assert put.headers.keys().isdisjoint({"content-md5", "x-amz-checksum-crc32"})
    head = await wire.inspect("/data/k", {"x-amz-checksum-mode": "ENABLED"})
    assert head.headers["x-amz-checksum-crc32"] == crc32_b64(b"abc")
    for bucket in ("data", "plain"):
        for name, value in given.items():
            fields = presigned(wire, bucket, "wrong", {name: value})
            assert (await post(wire, bucket, fields, b"abd")).code == "BadDigest"
            assert "wrong" not in store.keys(bucket)


@pytest.mark.parametrize("bucket", ["data", "plain"])
async def test_a_checksum_that_the_form_only_names(wire: Wire, bucket: str) -> None:
    fields = presigned(wire, bucket, "k", {"x-amz-checksum-algorithm": "CRC32"})
    answer = await post(wire, bucket, fields, b"abc")
    assert (answer.status, answer.headers["x-amz-checksum-crc32"]) == (204, crc32_b64(b"abc"))
    fields = presigned(wire, bucket, "k", {"x-amz-checksum-algorithm": "CRC31"})
    assert (await post(wire, bucket, fields, b"abc")).code == "InvalidRequest"


async def test_conditions_on_the_request_hold(wire: Wire) -> None:
    fields = presigned(wire, "data", "k")
    first = await post(wire, "data", fields, b"1", headers={"if-none-match": "*"})
    again = await post(wire, "data", fields, b"2", headers={"if-none-match": "*"})
    assert (first.status, again.status) == (204, 412)
    replaced = await post(wire, "data", fields, b"3", headers={"if-match": f'"{first.etag}"'})
    assert replaced.status == 204
    assert (await wire.get("/data/k")).body == b"3"


async def test_an_anonymous_form(serve: Serve, store: MemoryStore) -> None:
    """It goes where the store lets anyone write, and never where something must be encrypted."""
    wire = await serve(buckets={"public": BucketPolicy(SseMode.NONE)})
    store.requests.clear()
    answer = await post(wire, "public", {"key": "k"}, b"anyone's")
    [put] = store.requests
    assert put.credential is None
    assert answer.status == 403, "this store lets nobody write"
    assert (await post(wire, "data", {"key": "k"}, b"anyone's")).code == "AccessDenied"
    fields = {"key": "k", SSE: "AES256"}
    assert (await post(wire, "public", fields, b"anyone's")).code == "AccessDenied"
    assert len(store.requests) == 1
    assert wire.proxy.metric("sseproxy_anonymous_denials_total", operation="PostObject") == 2


async def test_a_form_signed_by_its_request(wire: Wire, store: MemoryStore) -> None:
    answer = await post(wire, "data", {"key": "k"}, b"plaintext", anonymous=False)
    assert answer.status == 204
    assert (await wire.get("/data/k")).body == b"plaintext"
    twice = await post(wire, "data", presigned(wire, "data", "l"), anonymous=False)
    assert (twice.status, twice.code) == (400, "InvalidArgument")
    assert "l" not in store.keys("data")


async def test_a_bucket_that_the_proxy_stays_out_of(serve: Serve, store: MemoryStore) -> None:
    """Its forms are signed with the client's key, which the store does not know."""
    wire = await serve(buckets={"plain": BucketPolicy(passthrough=True)})
    assert (await post(wire, "plain", presigned(wire, "plain", "k"), b"as it is")).status == 204
    assert store.raw("plain", "k").data == b"as it is"
    fields = presigned(wire, "plain", "l", {SSE: "AES256"})
    assert (await post(wire, "plain", fields)).code == "InvalidRequest"
    assert "l" not in store.keys("plain")


async def test_versions_are_told(wire: Wire, store: MemoryStore) -> None:
    store.buckets["data"].versioned = True
    answer = await post(wire, "data", presigned(wire, "data", "k"), b"one")
    version = answer.headers["x-amz-version-id"]
    assert (await wire.get("/data/k", query={"versionId": version})).body == b"one"


async def test_what_the_store_refuses_is_told_as_it_said(wire: Wire, store: MemoryStore) -> None:
    store.fail(Failure(method="PUT", status=403))
    answer = await post(wire, "data", presigned(wire, "data", "k"))
    assert answer.status == 403
    assert "k" not in store.keys("data")
    missing = await post(wire, "nowhere", presigned(wire, "nowhere", "k"))
    assert (missing.status, missing.code) == (404, "NoSuchBucket")
