"""Multipart uploads."""

from __future__ import annotations

from collections.abc import Sequence

from tests.contract.client import Reply
from tests.contract.scenarios.bodies import PART, SMALL
from tests.contract.session import Session, element, md5_base64, scenario

_NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_ABSENT = "x" * 32


def _create(s: Session, step: str = "_create", key: str = "k", **options: object) -> str:
    reply = s.ask(step, "POST", key, query={"uploads": ""}, **options)
    return element(reply, "UploadId")


def _part(
    s: Session, step: str, upload: str, number: int | str, body: bytes, **options: object
) -> str:
    query = {"partNumber": str(number), "uploadId": upload}
    return s.put(step, "k", body, query=query, **options).headers.get("etag", "")


def _complete(
    s: Session, step: str, upload: str, parts: Sequence[tuple[object, str]], **options: object
) -> Reply:
    entries = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in parts
    )
    document = f"<CompleteMultipartUpload{_NAMESPACE}>{entries}</CompleteMultipartUpload>"
    body = document.encode()
    return s.ask(step, "POST", "k", query={"uploadId": upload}, body=body, **options)


@scenario
def an_upload(s: Session) -> None:
    s.make()
    headers = {"content-type": "text/x-test", "x-amz-meta-a": "b c", "x-amz-tagging": "t=1"}
    upload = _create(s, "create", headers=headers)
    s.get("uploads", query={"uploads": "", "prefix": "k"})
    first = _part(s, "part", upload, 2, PART)
    last = _part(s, "last part", upload, 5, SMALL)
    s.get("listed", "k", query={"uploadId": upload})
    s.head("not there yet", "k")
    _complete(s, "complete", upload, [(2, first), (5, last)])
    s.head("head", "k")
    s.get("get", "k")
    s.get(
        "a range over two parts", "k", headers={"range": f"bytes={len(PART) - 3}-{len(PART) + 2}"}
    )
    s.get("the end", "k", headers={"range": "bytes=-5"})
    s.get("past the end", "k", headers={"range": "bytes=99999999-"})
    for number in ("1", "2", "3"):
        s.get(f"part {number}", "k", query={"partNumber": number})
        s.head(f"head of part {number}", "k", query={"partNumber": number})
    s.get("tags", "k", query={"tagging": ""})
    s.get("objects", query={"list-type": "2"})
    s.get("uploads after", query={"uploads": "", "prefix": "k"})
    every = "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"
    s.get("attributes", "k", query={"attributes": ""}, headers={"x-amz-object-attributes": every})


@scenario
def a_completion_repeated(s: Session) -> None:
    s.make()
    upload = _create(s)
    part = [(1, _part(s, "_part", upload, 1, SMALL))]
    _complete(s, "once", upload, part)
    _complete(s, "twice", upload, part)
    s.get("get", "k")
    s.delete("abort after", "k", query={"uploadId": upload})
    _part(s, "part after", upload, 2, SMALL)
    s.get("list after", "k", query={"uploadId": upload})


@scenario
def an_upload_aborted(s: Session) -> None:
    s.make()
    upload = _create(s)
    etag = _part(s, "_part", upload, 1, SMALL)
    s.delete("abort", "k", query={"uploadId": upload})
    s.delete("abort again", "k", query={"uploadId": upload})
    s.get("list", "k", query={"uploadId": upload})
    _part(s, "part", upload, 2, SMALL)
    _complete(s, "complete", upload, [(1, etag)])
    s.head("head", "k")


@scenario
def uploads_that_never_were(s: Session) -> None:
    s.make()
    _part(s, "part", _ABSENT, 1, SMALL)
    s.get("list", "k", query={"uploadId": _ABSENT})
    _complete(s, "complete", _ABSENT, [(1, f'"{"0" * 32}"')])
    s.delete("abort", "k", query={"uploadId": _ABSENT})
    s.delete("abort none", "k", query={"uploadId": ""})
    upload = _create(s)
    s.put("another key", "other", SMALL, query={"partNumber": "1", "uploadId": upload})


@scenario
def lists_that_do_not_fit(s: Session) -> None:
    s.make()
    upload = _create(s)
    small = _part(s, "_small", upload, 1, SMALL)
    last = _part(s, "_last", upload, 2, SMALL)
    wrong = f'"{"0" * 32}"'
    _complete(s, "too small", upload, [(1, small), (2, last)])
    _complete(s, "wrong order", upload, [(2, last), (1, small)])
    _complete(s, "wrong ETag", upload, [(1, wrong)])
    _complete(s, "no such part", upload, [(3, last)])
    _complete(s, "an odd number", upload, [("x", small)])
    _complete(s, "empty", upload, [])
    s.ask("no XML", "POST", "k", query={"uploadId": upload}, body=b"<CompleteMultipartUpload>")
    s.ask("no body", "POST", "k", query={"uploadId": upload})
    _complete(s, "unquoted ETag", upload, [(1, small.strip('"'))])
    s.get("get", "k")
    upload = _create(s, "_another")
    small = _part(s, "_small again", upload, 1, SMALL)
    _complete(s, "one twice", upload, [(1, small), (1, small)])


@scenario
def a_part_uploaded_again(s: Session) -> None:
    s.make()
    upload = _create(s)
    _part(s, "part", upload, 1, SMALL * 2)
    new = _part(s, "part again", upload, 1, SMALL)
    s.get("listed", "k", query={"uploadId": upload})
    _complete(s, "complete", upload, [(1, new)])
    s.get("get", "k")


@scenario
def parts_that_cannot_be(s: Session) -> None:
    s.make()
    upload = _create(s)
    for number in ("0", "10001", "-1", "x"):
        _part(s, f"number {number}", upload, number, SMALL)
    wrong = {"content-md5": md5_base64(b"other")}
    _part(s, "wrong digest", upload, 1, SMALL, headers=wrong)
    _part(s, "wrong hash", upload, 1, SMALL, payload_hash="0" * 64)
    s.put("no number", "k", SMALL, query={"uploadId": upload})
    s.put("no upload", "k", SMALL, query={"partNumber": "1"})
    s.get("none", "k", query={"uploadId": upload})


@scenario
def pages_of_parts(s: Session) -> None:
    s.make()
    upload = _create(s)
    for number in (1, 2, 3, 10):
        _part(s, f"_part {number}", upload, number, SMALL * number)
    for name, query in {
        "first page": {"max-parts": "2"},
        "next page": {"max-parts": "2", "part-number-marker": "2"},
        "past the end": {"part-number-marker": "10"},
        "none": {"max-parts": "0"},
        "an odd count": {"max-parts": "x"},
        "an odd marker": {"part-number-marker": "x"},
        "url": {"encoding-type": "url"},
    }.items():
        s.get(name, "k", query={"uploadId": upload, **query})


@scenario
def listings_of_uploads(s: Session) -> None:
    s.make()
    for key in ("a", "dir/1", "dir/2", "z b"):
        _create(s, f"_create {key}", key)
    for name, query in {
        "all": {},
        "of a key": {"prefix": "dir/1"},
        "prefix": {"prefix": "dir/"},
        "delimiter": {"delimiter": "/"},
        "a page": {"max-uploads": "1"},
        "after": {"key-marker": "dir/1"},
        "url": {"encoding-type": "url", "prefix": "z b"},
    }.items():
        s.get(name, query={"uploads": "", **query})


@scenario
def conditional_completions(s: Session) -> None:
    s.make()
    s.put("_there", "k", SMALL)
    upload = _create(s)
    part = [(1, _part(s, "_part", upload, 1, SMALL * 2))]
    _complete(s, "absent", upload, part, headers={"if-none-match": "*"})
    _complete(s, "match other", upload, part, headers={"if-match": f'"{"0" * 32}"'})
    s.get("unchanged", "k")
    etag = s.head("_etag", "k").headers["etag"]
    _complete(s, "match", upload, part, headers={"if-match": etag})
    s.get("changed", "k")


@scenario
def parts_copied(s: Session) -> None:
    s.make()
    s.put("_large", "from a", PART)
    s.put("_small", "small", SMALL)
    upload = _create(s)
    source = {"x-amz-copy-source": f"/{s.bucket}/from%20a"}
    query = {"partNumber": "1", "uploadId": upload}
    first = element(s.put("whole", "k", headers=source, query=query), "ETag")
    query = {"partNumber": "2", "uploadId": upload}
    source = {"x-amz-copy-source": f"/{s.bucket}/small"}
    for name, wanted in {
        "past the end": "bytes=4-44",
        "backwards": "bytes=4-2",
        "open": "bytes=4-",
        "odd": "4-8",
    }.items():
        headers = {**source, "x-amz-copy-source-range": wanted}
        s.put(f"range {name}", "k", headers=headers, query=query)
    headers = {**source, "x-amz-copy-source-range": "bytes=4-8"}
    last = element(s.put("range", "k", headers=headers, query=query), "ETag")
    s.get("listed", "k", query={"uploadId": upload})
    wrong = {**source, "x-amz-copy-source-if-match": f'"{"0" * 32}"'}
    s.put("condition", "k", headers=wrong, query=query)
    none = {"x-amz-copy-source": f"/{s.bucket}/none"}
    s.put("no such key", "k", headers=none, query=query)
    s.put("no such upload", "k", headers=source, query={"partNumber": "1", "uploadId": _ABSENT})
    _complete(s, "complete", upload, [(1, first), (2, last)])
    s.get("get", "k")
    s.head("head", "k")


@scenario
def uploads_with_versions(s: Session) -> None:
    s.make()
    enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    s.xml("_enable", "PUT", None, {"versioning": ""}, enabled)
    for index in (1, 2):
        upload = _create(s, f"_create {index}")
        part = _part(s, f"_part {index}", upload, 1, SMALL * index)
        _complete(s, f"complete {index}", upload, [(1, part)])
    s.get("get", "k")
    s.get("listed", query={"versions": ""})


@scenario
def copies_of_objects_made_of_parts(s: Session) -> None:
    s.make()
    upload = _create(s)
    parts = [(n, _part(s, f"_part {n}", upload, n, body)) for n, body in ((1, PART), (2, SMALL))]
    _complete(s, "_complete", upload, parts)
    s.put("copy", "copy", headers={"x-amz-copy-source": f"/{s.bucket}/k"})
    s.head("head", "copy")
    s.get("get", "copy")
    s.head("part", "copy", query={"partNumber": "2"})
