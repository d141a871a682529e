"""What the product relies on, shown of the store in memory and of real ones by the same tests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator

import pytest
from lxml import etree

from tests.store.case import Case
from tests.store.memory import md5_hex

KEYS = [
    "plain",
    "with space",
    "plus+and%2Fpercent%20",
    "a/b/c",
    "ünï/✓/🎈",
    "semi;colon?query=&amp#hash",
    "quote'\"(1)!*",
    "k" * 200 + "/" + "l" * 200,
]


@pytest.mark.parametrize("key", KEYS)
async def test_a_key_arrives_as_sent(case: Case, key: str) -> None:
    data = key.encode() * 3
    status, headers, _ = await case.ask("PUT", key, body=data)
    assert status == 200
    assert headers["etag"] == f'"{md5_hex(data)}"'
    assert (await case.ask("GET", key))[::2] == (200, data)
    query = [("list-type", "2"), ("encoding-type", "url")]
    _, _, listing = await case.ask("GET", None, query=query)
    root = etree.fromstring(listing)
    assert [e.text for e in root.iterfind("{*}Contents/{*}Size")] == [str(len(data))]


async def test_head_tells_what_get_would(case: Case) -> None:
    headers = {"content-type": "text/x-test", "cache-control": "no-store", "x-amz-meta-a": "b c"}
    await case.ask("PUT", "k", body=b"12345", headers=headers)
    status, got, body = await case.ask("HEAD", "k")
    assert (status, body, got["content-length"]) == (200, b"", "5")
    assert headers.items() <= got.items()
    assert got["last-modified"].endswith("GMT")
    assert (await case.ask("GET", "k"))[1]["etag"] == got["etag"]


async def test_a_streamed_body_is_stored_whole(case: Case) -> None:
    async def body() -> AsyncIterator[bytes]:
        for index in range(40):
            yield bytes([index]) * 50_000

    assert (await case.ask("PUT", "k", body=body(), content_length=2_000_000))[0] == 200
    expected = b"".join(bytes([index]) * 50_000 for index in range(40))
    assert (await case.ask("GET", "k"))[2] == expected


async def test_a_body_that_breaks_off_leaves_what_was_there(case: Case) -> None:
    await case.ask("PUT", "k", body=b"before")

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        raise RuntimeError("refused at the last moment")

    for key in ("k", "new"):
        with pytest.raises(RuntimeError, match="refused at the last moment"):
            await case.ask("PUT", key, body=body(), content_length=300_001)
    assert (await case.ask("GET", "k"))[2] == b"before"
    assert (await case.ask("GET", "new"))[0] == 404


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=3-5", 3, 6),
        ("bytes=7-", 7, 10),
        ("bytes=-4", 6, 10),
        ("bytes=-99", 0, 10),
        ("bytes=8-99", 8, 10),
    ],
)
async def test_ranges(case: Case, asked: str, start: int, stop: int) -> None:
    data = b"0123456789"
    await case.ask("PUT", "k", body=data)
    status, headers, body = await case.ask("GET", "k", headers={"range": asked})
    assert (status, body) == (206, data[start:stop])
    assert headers["content-range"] == f"bytes {start}-{stop - 1}/10"


async def test_a_range_past_the_end_is_refused(case: Case) -> None:
    await case.ask("PUT", "k", body=b"0123456789")
    assert (await case.ask("GET", "k", headers={"range": "bytes=10-"}))[0] == 416


async def test_conditional_reads(case: Case) -> None:
    _, headers, _ = await case.ask("PUT", "k", body=b"one")
    etag, other = headers["etag"], '"' + "0" * 32 + '"'
    assert (await case.ask("GET", "k", headers={"if-match": etag}))[0] == 200
    assert (await case.ask("GET", "k", headers={"if-match": other}))[0] == 412
    assert (await case.ask("GET", "k", headers={"if-none-match": etag}))[::2] == (304, b"")
    assert (await case.ask("GET", "k", headers={"if-none-match": other}))[0] == 200


async def test_conditional_writes(case: Case) -> None:
    absent = {"if-none-match": "*"}
    _, headers, _ = await case.ask("PUT", "k", body=b"one", headers=absent)
    assert (await case.ask("PUT", "k", body=b"two", headers=absent))[0] == 412
    match = {"if-match": headers["etag"]}
    assert (await case.ask("PUT", "k", body=b"three", headers=match))[0] == 200
    assert (await case.ask("PUT", "k", body=b"four", headers=match))[0] == 412
    assert (await case.ask("GET", "k"))[2] == b"three"


async def test_delete(case: Case) -> None:
    await case.ask("PUT", "k", body=b"one")
    assert (await case.ask("DELETE", "k"))[0] == 204
    assert (await case.ask("DELETE", "k"))[0] == 204
    status, _, body = await case.ask("GET", "k")
    assert status == 404
    assert etree.fromstring(body).findtext("{*}Code") == "NoSuchKey"


async def test_copy_keeps_or_replaces_metadata(case: Case) -> None:
    await case.ask("PUT", "a b", body=b"one", headers={"x-amz-meta-a": "1"})
    source = {"x-amz-copy-source": f"/{case.bucket}/a%20b"}
    status, _, body = await case.ask("PUT", "kept", headers=source)
    assert status == 200
    assert md5_hex(b"one").encode() in body
    assert (await case.ask("GET", "kept"))[1]["x-amz-meta-a"] == "1"
    replace = {**source, "x-amz-metadata-directive": "REPLACE", "x-amz-meta-b": "2"}
    assert (await case.ask("PUT", "replaced", headers=replace))[0] == 200
    _, headers, data = await case.ask("GET", "replaced")
    assert (data, headers["x-amz-meta-b"], "x-amz-meta-a" in headers) == (b"one", "2", False)


async def test_copy_is_pinned_to_its_source(case: Case) -> None:
    await case.ask("PUT", "k", body=b"one")
    headers = {
        "x-amz-copy-source": f"/{case.bucket}/k",
        "x-amz-copy-source-if-match": '"' + "0" * 32 + '"',
    }
    assert (await case.ask("PUT", "copy", headers=headers))[0] == 412


async def test_listing_pages_and_prefixes(case: Case) -> None:
    for key in ("a/1", "a/2", "b/1", "c"):
        await case.ask("PUT", key, body=b"x")
    query = [("list-type", "2"), ("delimiter", "/"), ("max-keys", "2")]
    _, _, first = await case.ask("GET", None, query=query)
    root = etree.fromstring(first)
    assert [e.text for e in root.iterfind("{*}CommonPrefixes/{*}Prefix")] == ["a/", "b/"]
    token = str(root.findtext("{*}NextContinuationToken"))
    _, _, second = await case.ask("GET", None, query=[*query, ("continuation-token", token)])
    root = etree.fromstring(second)
    assert [e.text for e in root.iterfind("{*}Contents/{*}Key")] == ["c"]
    assert root.findtext("{*}IsTruncated") == "false"


async def test_versions(case: Case) -> None:
    enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert (await case.ask("PUT", None, query=[("versioning", "")], body=enabled))[0] == 200
    _, first, _ = await case.ask("PUT", "k", body=b"one")
    await case.ask("PUT", "k", body=b"two")
    _, deleted, _ = await case.ask("DELETE", "k")
    assert deleted["x-amz-delete-marker"] == "true"
    assert (await case.ask("GET", "k"))[0] == 404
    query = [("versionId", first["x-amz-version-id"])]
    assert (await case.ask("GET", "k", query=query))[2] == b"one"
    _, _, listing = await case.ask("GET", None, query=[("versions", "")])
    root = etree.fromstring(listing)
    assert len(root.findall("{*}Version")) == 2
    assert len(root.findall("{*}DeleteMarker")) == 1


async def test_delete_many(case: Case) -> None:
    for key in ("a", "b", "c"):
        await case.ask("PUT", key, body=b"x")
    body = b"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>"

    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    headers = {"content-md5": digest}
    status, _, answer = await case.ask(
        "POST", None, query=[("delete", "")], headers=headers, body=body
    )
    assert status == 200
    root = etree.fromstring(answer)
    assert sorted(str(e.text) for e in root.iterfind("{*}Deleted/{*}Key")) == ["a", "b"]
    assert [(await case.ask("GET", key))[0] for key in "abc"] == [404, 404, 200]


async def test_anonymous_requests_are_refused(case: Case) -> None:
    await case.ask("PUT", "k", body=b"one")
    for method in ("GET", "PUT", "DELETE"):
        body = b"two" if method == "PUT" else None
        assert (await case.ask(method, "k", anonymous=True, body=body))[0] == 403
    assert (await case.ask("GET", "k"))[2] == b"one"


async def test_a_bucket_that_is_not_there(case: Case) -> None:
    elsewhere = Case(case.name, case.store, case.credential, case.bucket + "-none")
    status, _, body = await elsewhere.ask("GET", "k")
    assert status == 404
    assert etree.fromstring(body).findtext("{*}Code") == "NoSuchBucket"
