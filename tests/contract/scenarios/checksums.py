"""Checksums, in headers and trailers, of objects and parts."""

from __future__ import annotations

import base64
import hashlib
import zlib

from tests.contract.client import UNSIGNED_TRAILER
from tests.contract.scenarios.bodies import LARGE, PART, SMALL
from tests.contract.session import Session, element, scenario

_WANTED = {"x-amz-checksum-mode": "ENABLED"}
_NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def digest(name: str, body: bytes) -> str:
    return base64.b64encode(hashlib.new(name, body).digest()).decode()


# Those that Python's library has not were computed once.
_OF_SMALL = {
    "crc32": crc32(SMALL),
    "crc32c": "zNFl3g==",
    "crc64nvme": "VLUEXSiTHfA=",
    "sha1": digest("sha1", SMALL),
    "sha256": digest("sha256", SMALL),
    "sha512": digest("sha512", SMALL),
    "md5": digest("md5", SMALL),
    "xxhash64": "TTKmK3tpUjY=",
    "xxhash3": "C/Yz3jlKHcU=",
    "xxhash128": "1GyUEbvEP58K+OgC7kzhGA==",
}


def _other(value: str) -> str:
    """Another digest, as well formed."""
    return ("B" if value.startswith("A") else "A") + value[1:]


@scenario
def checksums_in_headers(s: Session) -> None:
    s.make()
    for name, value in _OF_SMALL.items():
        header = {f"x-amz-checksum-{name}": value}
        s.put(f"put {name}", name, SMALL, headers=header)
        s.get(f"get {name}", name, headers=_WANTED)
        s.get(f"get {name} unasked", name)
        s.head(f"head {name}", name, headers=_WANTED)
        s.get(f"range of {name}", name, headers={**_WANTED, "range": "bytes=0-9"})
        wrong = {f"x-amz-checksum-{name}": _other(value)}
        s.put(f"put wrong {name}", "wrong", SMALL, headers=wrong)
    s.put("odd", "wrong", SMALL, headers={"x-amz-checksum-crc32": "odd"})
    two = {"x-amz-checksum-crc32": _OF_SMALL["crc32"], "x-amz-checksum-sha1": _OF_SMALL["sha1"]}
    s.put("two", "wrong", SMALL, headers=two)
    s.put("unknown", "wrong", SMALL, headers={"x-amz-checksum-crc31": "AAAA"})
    s.put("announced only", "wrong", SMALL, headers={"x-amz-sdk-checksum-algorithm": "CRC32"})
    s.put("empty body", "empty", headers={"x-amz-checksum-crc32": "AAAAAA=="})
    s.head("nothing wrong was written", "wrong")


def _trailer(body: bytes, name: str, value: str) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk + b"0\r\n" + f"x-amz-checksum-{name}:{value}\r\n\r\n".encode()


def _put_trailer(s: Session, step: str, key: str, body: bytes, value: str, **query: str) -> str:
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    framed = _trailer(body, "crc32", value)
    reply = s.put(step, key, framed, headers=headers, query=query, payload_hash=UNSIGNED_TRAILER)
    return reply.headers.get("etag", "")


@scenario
def checksums_in_trailers(s: Session) -> None:
    s.make()
    for name, body in (("empty", b""), ("small", SMALL), ("large", LARGE)):
        _put_trailer(s, f"put {name}", name, body, crc32(body))
        s.get(f"get {name}", name, headers=_WANTED)
        s.head(f"head {name}", name, headers=_WANTED)
        _put_trailer(s, f"put wrong {name}", "wrong", body, crc32(body + b"x"))
    s.head("nothing wrong was written", "wrong")


def _upload(s: Session, algorithm: str | None, kind: str | None, values: list[str]) -> None:
    """One upload of two parts, each with its checksum."""
    headers = {"x-amz-checksum-algorithm": algorithm} if algorithm else {}
    headers |= {"x-amz-checksum-type": kind} if kind else {}
    label = f"{algorithm} {kind}"
    upload = element(
        s.ask(f"{label} create", "POST", "k", query={"uploads": ""}, headers=headers), "UploadId"
    )
    if not upload:
        return
    entries = ""
    for number, (body, value) in enumerate(zip((PART, SMALL), values, strict=True), 1):
        query = {"partNumber": str(number), "uploadId": upload}
        sent = {f"x-amz-checksum-{algorithm.lower()}": value} if algorithm else {}
        reply = s.put(f"{label} part {number}", "k", body, query=query, headers=sent)
        shown = f"<Checksum{algorithm}>{value}</Checksum{algorithm}>" if algorithm else ""
        etag = reply.headers.get("etag", "")
        entries += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{shown}</Part>"
    s.get(f"{label} parts", "k", query={"uploadId": upload})
    document = f"<CompleteMultipartUpload{_NAMESPACE}>{entries}</CompleteMultipartUpload>"
    wrong = document.replace(values[1], values[0]) if algorithm else document[:-4]
    s.ask(f"{label} wrong", "POST", "k", query={"uploadId": upload}, body=wrong.encode())
    s.ask(f"{label} complete", "POST", "k", query={"uploadId": upload}, body=document.encode())
    s.head(f"{label} head", "k", headers=_WANTED)
    s.head(f"{label} head of a part", "k", headers=_WANTED, query={"partNumber": "2"})
    asked = {"x-amz-object-attributes": "Checksum,ObjectParts"}
    s.get(f"{label} attributes", "k", query={"attributes": ""}, headers=asked)


@scenario
def checksums_of_uploads(s: Session) -> None:
    s.make()
    crcs = [crc32(PART), crc32(SMALL)]
    _upload(s, "CRC32", None, crcs)
    _upload(s, "CRC32", "COMPOSITE", crcs)
    _upload(s, "CRC32", "FULL_OBJECT", crcs)
    _upload(s, "SHA256", None, [digest("sha256", PART), digest("sha256", SMALL)])
    _upload(s, "SHA1", "COMPOSITE", [digest("sha1", PART), digest("sha1", SMALL)])
    _upload(s, None, None, ["", ""])


@scenario
def checksums_that_no_upload_has(s: Session) -> None:
    s.make()
    for algorithm, kind in (("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("CRC31", "")):
        headers = {"x-amz-checksum-algorithm": algorithm}
        headers |= {"x-amz-checksum-type": kind} if kind else {}
        s.ask(f"create {algorithm}", "POST", "k", query={"uploads": ""}, headers=headers)
    odd = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "ODD"}
    s.ask("create an odd type", "POST", "k", query={"uploads": ""}, headers=odd)
    alone = {"x-amz-checksum-type": "COMPOSITE"}
    s.ask("create a type alone", "POST", "k", query={"uploads": ""}, headers=alone)


@scenario
def parts_with_wrong_checksums(s: Session) -> None:
    s.make()
    asked = {"x-amz-checksum-algorithm": "CRC32"}
    reply = s.ask("_create", "POST", "k", query={"uploads": ""}, headers=asked)
    query = {"partNumber": "1", "uploadId": element(reply, "UploadId")}
    s.put("none", "k", SMALL, query=query)
    s.put("wrong", "k", SMALL, query=query, headers={"x-amz-checksum-crc32": "AAAAAA=="})
    other = {"x-amz-checksum-sha1": _OF_SMALL["sha1"]}
    s.put("another", "k", SMALL, query=query, headers=other)
    _put_trailer(s, "trailer", "k", SMALL, crc32(SMALL), **query)
    _put_trailer(s, "wrong trailer", "k", SMALL, crc32(LARGE), **query)
