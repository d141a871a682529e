"""Multipart uploads and tags: what the product relies on, of the store in memory and real ones."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import pytest
from lxml import etree

from tests.store.case import Case
from tests.store.memory import md5_hex
from tests.store.memory_uploads import composite_etag

LARGE = bytes(range(256)) * 4 * 5 * 1024  # 5 MiB, the least that is no last part
LAST = b"the end"


async def create(case: Case, key: str = "k", headers: Mapping[str, str] = {}) -> str:
    status, _, body = await case.ask("POST", key, query=[("uploads", "")], headers=headers)
    assert status == 200
    return str(etree.fromstring(body).findtext("{*}UploadId"))


async def put_part(case: Case, upload: str, number: int, data: bytes, key: str = "k") -> str:
    query = [("partNumber", str(number)), ("uploadId", upload)]
    status, headers, _ = await case.ask("PUT", key, query=query, body=data)
    assert (status, headers["etag"]) == (200, f'"{md5_hex(data)}"')
    return headers["etag"]


async def complete(
    case: Case, upload: str, parts: list[tuple[int, str]], headers: Mapping[str, str] = {}
) -> tuple[int, etree._Element]:
    root = etree.Element("CompleteMultipartUpload")
    for number, etag in parts:
        part = etree.SubElement(root, "Part")
        etree.SubElement(part, "PartNumber").text = str(number)
        etree.SubElement(part, "ETag").text = etag
    query, body = [("uploadId", upload)], etree.tostring(root)
    status, _, answer = await case.ask("POST", "k", query=query, headers=headers, body=body)
    return status, etree.fromstring(answer)


async def error_of(case: Case, upload: str, parts: list[tuple[int, str]]) -> tuple[int, str | None]:
    status, root = await complete(case, upload, parts)
    return status, root.findtext("{*}Code")


async def listed(case: Case, upload: str, **query: str) -> etree._Element:
    pairs = [("uploadId", upload), *((n.replace("_", "-"), v) for n, v in query.items())]
    status, _, body = await case.ask("GET", "k", query=pairs)
    assert status == 200
    return etree.fromstring(body)


def numbers(root: etree._Element) -> list[int]:
    return [int(str(e.text)) for e in root.iterfind("{*}Part/{*}PartNumber")]


async def test_parts_in_any_order_become_one_object(case: Case) -> None:
    headers = {"x-amz-meta-a": "b c", "content-type": "text/x-test", "x-amz-tagging": "t=1"}
    upload = await create(case, headers=headers)
    last = await put_part(case, upload, 7, LAST)
    await put_part(case, upload, 2, b"uploaded again")
    first = await put_part(case, upload, 2, LARGE)
    assert (await case.ask("HEAD", "k"))[0] == 404
    status, root = await complete(case, upload, [(2, first), (7, last)])
    etag = composite_etag([first.strip('"'), last.strip('"')])
    assert (status, str(root.findtext("{*}ETag")).strip('"')) == (200, etag)
    assert root.findtext("{*}Key") == "k"
    status, got, data = await case.ask("GET", "k")
    assert (status, data, got["etag"]) == (200, LARGE + LAST, f'"{etag}"')
    assert (got["x-amz-meta-a"], got["content-type"]) == ("b c", "text/x-test")
    assert got["x-amz-tagging-count"] == "1"
    assert (
        etree.fromstring((await case.ask("GET", None, query=[("uploads", "")]))[2]).findall(
            "{*}Upload"
        )
        == []
    )


async def test_one_part_of_the_object(case: Case) -> None:
    upload = await create(case)
    parts = [
        (1, await put_part(case, upload, 1, LARGE)),
        (2, await put_part(case, upload, 2, LAST)),
    ]
    await complete(case, upload, parts)
    status, headers, body = await case.ask("GET", "k", query=[("partNumber", "2")])
    size = len(LARGE) + len(LAST)
    assert (status, body) == (206, LAST)
    assert headers["content-range"] == f"bytes {len(LARGE)}-{size - 1}/{size}"
    assert headers["x-amz-mp-parts-count"] == "2"


async def test_parts_are_listed_in_pages(case: Case) -> None:
    upload = await create(case)
    etags = {n: await put_part(case, upload, n, LAST * n) for n in (3, 1, 10000, 2)}
    page = await listed(case, upload, max_parts="3")
    assert numbers(page) == [1, 2, 3]
    assert (page.findtext("{*}IsTruncated"), page.findtext("{*}MaxParts")) == ("true", "3")
    marker = str(page.findtext("{*}NextPartNumberMarker"))
    page = await listed(case, upload, max_parts="3", part_number_marker=marker)
    assert (numbers(page), page.findtext("{*}IsTruncated")) == ([10000], "false")
    whole = await listed(case, upload)
    shown = [str(e.text).strip('"') for e in whole.iterfind("{*}Part/{*}ETag")]
    assert shown == [etags[n].strip('"') for n in sorted(etags)]
    assert [e.text for e in whole.iterfind("{*}Part/{*}Size")] == ["7", "14", "21", "70000"]


async def test_the_uploads_of_a_key_are_listed(case: Case) -> None:
    """MinIO shows none for a prefix that is no whole key."""
    made = {await create(case, "a/1"), await create(case, "a/1")}
    await create(case, "b")
    _, _, body = await case.ask("GET", None, query=[("uploads", ""), ("prefix", "a/1")])
    root = etree.fromstring(body)
    assert {e.text for e in root.iterfind("{*}Upload/{*}UploadId")} == made
    assert {e.text for e in root.iterfind("{*}Upload/{*}Key")} == {"a/1"}


async def test_an_aborted_upload_is_gone(case: Case) -> None:
    upload = await create(case)
    etag = await put_part(case, upload, 1, LAST)
    query = [("uploadId", upload)]
    assert (await case.ask("DELETE", "k", query=query))[0] == 204
    assert (await case.ask("GET", "k", query=query))[0] == 404
    assert await error_of(case, upload, [(1, etag)]) == (404, "NoSuchUpload")
    status, _, _ = await case.ask("PUT", "k", query=[("partNumber", "2"), *query], body=LAST)
    assert status == 404


async def test_a_list_that_does_not_fit_completes_nothing(case: Case) -> None:
    upload = await create(case)
    small = await put_part(case, upload, 1, b"small")
    last = await put_part(case, upload, 2, LAST)
    wrong = '"' + "0" * 32 + '"'
    assert await error_of(case, upload, [(1, small), (2, last)]) == (400, "EntityTooSmall")
    assert await error_of(case, upload, [(2, last), (1, small)]) == (400, "InvalidPartOrder")
    assert await error_of(case, upload, [(1, wrong)]) == (400, "InvalidPart")
    assert await error_of(case, upload, [(3, last)]) == (400, "InvalidPart")
    assert (await error_of(case, upload, []))[0] in {400, 404}
    assert (await case.ask("HEAD", "k"))[0] == 404
    assert (await complete(case, upload, [(1, small)]))[0] == 200


async def test_a_completion_can_be_conditional(case: Case) -> None:
    await case.ask("PUT", "k", body=b"before")
    upload = await create(case)
    part = [(1, await put_part(case, upload, 1, LAST))]
    absent = {"if-none-match": "*"}
    assert (await complete(case, upload, part, absent))[0] == 412
    wrong = {"if-match": '"' + "0" * 32 + '"'}
    assert (await complete(case, upload, part, wrong))[0] == 412
    assert (await case.ask("GET", "k"))[2] == b"before"
    match = {"if-match": f'"{md5_hex(b"before")}"'}
    assert (await complete(case, upload, part, match))[0] == 200
    assert (await case.ask("GET", "k"))[2] == LAST


async def test_part_numbers_have_limits(case: Case) -> None:
    upload = await create(case)
    for number in ("0", "10001"):
        query = [("partNumber", number), ("uploadId", upload)]
        assert (await case.ask("PUT", "k", query=query, body=LAST))[0] == 400


async def test_parts_are_copied(case: Case) -> None:
    _, put, _ = await case.ask("PUT", "from a", body=b"0123456789")
    upload = await create(case)
    source = {"x-amz-copy-source": f"/{case.bucket}/from%20a"}
    pinned = {**source, "x-amz-copy-source-range": "bytes=2-4"}
    pinned["x-amz-copy-source-if-match"] = put["etag"]
    query = [("partNumber", "1"), ("uploadId", upload)]
    status, _, body = await case.ask("PUT", "k", query=query, headers=pinned)
    assert status == 200
    root = etree.fromstring(body)
    etag = str(root.findtext("{*}ETag"))
    assert etree.QName(root).localname == "CopyPartResult"
    if case.name != "seaweedfs":  # it answers with the MD5 of the whole source
        assert etag.strip('"') == md5_hex(b"234")
    changed = {**source, "x-amz-copy-source-if-match": '"' + "0" * 32 + '"'}
    assert (await case.ask("PUT", "k", query=query, headers=changed))[0] == 412
    assert (await complete(case, upload, [(1, etag)]))[0] == 200
    assert (await case.ask("GET", "k"))[2] == b"234"


async def test_a_part_that_is_not_its_digest_is_refused(case: Case) -> None:
    upload = await create(case)
    wrong = {"content-md5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}
    query = [("partNumber", "1"), ("uploadId", upload)]
    assert (await case.ask("PUT", "k", query=query, headers=wrong, body=LAST))[0] == 400
    assert numbers(await listed(case, upload)) == []


async def test_tags(case: Case) -> None:
    await case.ask("PUT", "k", body=b"x", headers={"x-amz-tagging": "a=1&b%20c=%2F"})

    async def tags(key: str = "k") -> dict[str | None, str | None]:
        _, _, body = await case.ask("GET", key, query=[("tagging", "")])
        entries = etree.fromstring(body).iterfind("{*}TagSet/{*}Tag")
        return {tag.findtext("{*}Key"): tag.findtext("{*}Value") for tag in entries}

    assert await tags() == {"a": "1", "b c": "/"}
    source = {"x-amz-copy-source": f"/{case.bucket}/k"}
    assert (await case.ask("PUT", "copy", headers=source))[0] == 200
    assert await tags("copy") == {"a": "1", "b c": "/"}
    body = b"<Tagging><TagSet><Tag><Key>d</Key><Value>4</Value></Tag></TagSet></Tagging>"
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    asked = {"query": [("tagging", "")], "headers": {"content-md5": digest}, "body": body}
    assert (await case.ask("PUT", "k", **asked))[0] == 200
    assert await tags() == {"d": "4"}
    assert (await case.ask("HEAD", "k"))[1]["x-amz-tagging-count"] == "1"
    assert (await case.ask("DELETE", "k", query=[("tagging", "")]))[0] == 204
    assert await tags() == {}


@pytest.mark.parametrize("quiet", [False, True])
async def test_delete_versions_of_many(case: Case, quiet: bool) -> None:
    enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert (await case.ask("PUT", None, query=[("versioning", "")], body=enabled))[0] == 200
    version = (await case.ask("PUT", "k", body=b"one"))[1]["x-amz-version-id"]
    await case.ask("PUT", "k", body=b"two")
    body = (
        f"<Delete><Quiet>{str(quiet).lower()}</Quiet><Object><Key>k</Key>"
        f"<VersionId>{version}</VersionId></Object></Delete>"
    ).encode()
    digest = {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    status, _, answer = await case.ask(
        "POST", None, query=[("delete", "")], headers=digest, body=body
    )
    told = [e.text for e in etree.fromstring(answer).iterfind("{*}Deleted/{*}VersionId")]
    assert (status, told) == (200, [] if quiet else [version])
    assert (await case.ask("GET", "k", query=[("versionId", version)]))[0] == 404
    assert (await case.ask("GET", "k"))[2] == b"two"
