"""Single objects: written, read in every way, and asked about."""

from __future__ import annotations

from tests.contract.scenarios.bodies import LARGE, SMALL
from tests.contract.session import Session, md5_base64, scenario

_KEYS = ["with space", "plus+and%2Fpercent%20", "ünï/✓/🎈", "semi;colon?query=&amp#hash"]
_KEYS += ["quote'\"(1)!*", "k" * 200 + "/" + "l" * 200, "a//b", "/lead", "folder/", "dot/./dot"]


@scenario
def objects_of_every_size(s: Session) -> None:
    s.make()
    for name, body in (("empty", b""), ("one", b"1"), ("small", SMALL), ("large", LARGE)):
        s.put(f"put {name}", name, body)
        s.head(f"head {name}", name)
        s.get(f"get {name}", name)
        s.put(f"put {name} again", name, body)


@scenario
def keys_of_every_kind(s: Session) -> None:
    s.make()
    for key in _KEYS:
        s.put(f"put {key[:20]}", key, SMALL)
        s.get(f"get {key[:20]}", key)
        s.delete(f"delete {key[:20]}", key)
    s.put("put one that is too long", "x" * 1025, SMALL)
    s.put("put an empty folder", "folder/")
    s.head("head of a folder", "folder/")


@scenario
def what_an_object_keeps(s: Session) -> None:
    s.make()
    headers = {
        "cache-control": "max-age=60",
        "content-disposition": 'attachment; filename="a b.txt"',
        "content-encoding": "x-made-up",
        "content-language": "fi",
        "content-type": "text/x-test; charset=utf-8",
        "expires": "Thu, 01 Dec 2094 16:00:00 GMT",
        "x-amz-meta-a": "b c",
        "x-amz-meta-upper": "CASE",
        "x-amz-storage-class": "STANDARD",
        "x-amz-tagging": "t=1&u=b%20c",
        "x-amz-website-redirect-location": "/elsewhere",
    }
    s.put("put", "k", SMALL, headers=headers)
    s.head("head", "k")
    s.get("get", "k")
    s.put("put with an odd storage class", "l", SMALL, headers={"x-amz-storage-class": "ODD"})
    s.put("put with much metadata", "n", SMALL, headers={"x-amz-meta-a": "x" * 1500})
    s.head("head of much", "n")
    s.put("put with too much metadata", "o", SMALL, headers={"x-amz-meta-a": "x" * 9000})


@scenario
def what_a_read_may_override(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL, headers={"content-type": "text/x-test"})
    query = {
        "response-cache-control": "no-store",
        "response-content-disposition": 'inline; filename="x"',
        "response-content-encoding": "x-other",
        "response-content-language": "sv",
        "response-content-type": "text/x-other",
        "response-expires": "Thu, 01 Dec 2095 16:00:00 GMT",
    }
    s.get("get", "k", query=query)
    s.head("head", "k", query=query)
    s.get("get of a range", "k", query=query, headers={"range": "bytes=1-2"})


_RANGES = ["bytes=0-0", "bytes=3-9", "bytes=40-", "bytes=-4", "bytes=-9999999", "bytes=10-9999999"]
_RANGES += ["bytes=44-", "bytes=44-50", "bytes=-0", "bytes=5-3", "bytes=0-1,3-4", "bytes=x-y"]
_RANGES += ["bites=0-1", "bytes=", "bytes 0-1"]


@scenario
def ranges(s: Session) -> None:
    s.make()
    s.put("_small", "small", SMALL)
    s.put("_empty", "empty")
    s.put("_large", "large", LARGE)
    for wanted in _RANGES:
        s.get(f"get {wanted}", "small", headers={"range": wanted})
        s.head(f"head {wanted}", "small", headers={"range": wanted})
        s.get(f"get {wanted} of nothing", "empty", headers={"range": wanted})
    for wanted in ("bytes=65535-65536", "bytes=700000-", "bytes=-70000", "bytes=716800-"):
        s.get(f"get {wanted} of much", "large", headers={"range": wanted})


@scenario
def parts_of_objects_without_parts(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    for number in ("1", "2", "0", "10001", "x"):
        s.get(f"get {number}", "k", query={"partNumber": number})
        s.head(f"head {number}", "k", query={"partNumber": number})
    s.get("part and range", "k", query={"partNumber": "1"}, headers={"range": "bytes=0-1"})


@scenario
def objects_that_are_not_there(s: Session) -> None:
    s.make()
    s.get("get", "none")
    s.head("head", "none")
    s.delete("delete", "none")
    s.get("range", "none", headers={"range": "bytes=0-1"})
    s.get("tags", "none", query={"tagging": ""})
    s.get("acl", "none", query={"acl": ""})
    s.get("attributes", "none", query={"attributes": ""}, headers=_attributes("ETag"))
    s.get("version", "none", query={"versionId": "null"})
    s.get("odd version", "none", query={"versionId": "odd"})


@scenario
def objects_of_no_bucket(s: Session) -> None:
    s.get("get", "k")
    s.head("head", "k")
    s.ask("create an upload", "POST", "k", query={"uploads": ""})


def _attributes(*names: str) -> dict[str, str]:
    return {"x-amz-object-attributes": ",".join(names)}


@scenario
def attributes(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL, headers={"x-amz-checksum-crc32": "KMPevw=="})
    every = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
    for names in (*((name,) for name in every), every, ("Odd",)):
        asked = _attributes(*names)
        s.get(" ".join(names), "k", query={"attributes": ""}, headers=asked)
    s.get("none asked", "k", query={"attributes": ""})


@scenario
def bodies_that_are_not_what_was_said(s: Session) -> None:
    s.make()
    s.put("md5 right", "k", SMALL, headers={"content-md5": md5_base64(SMALL)})
    s.put("md5 of another", "l", SMALL, headers={"content-md5": md5_base64(b"x")})
    s.put("md5 of another, large", "l", LARGE, headers={"content-md5": md5_base64(b"x")})
    s.put("md5 odd", "l", SMALL, headers={"content-md5": "odd"})
    s.put("md5 empty", "l", SMALL, headers={"content-md5": ""})
    s.put("sha256 of another", "l", SMALL, payload_hash="0" * 64)
    s.put("sha256 unsigned", "m", SMALL, payload_hash="UNSIGNED-PAYLOAD")
    s.put("sha256 odd", "l", SMALL, payload_hash="odd")
    s.head("nothing was written", "l")


@scenario
def object_tags(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    s.get("get unset", "k", query={"tagging": ""})
    tags = "<Tagging><TagSet><Tag><Key>a b</Key><Value>1</Value></Tag></TagSet></Tagging>"
    s.xml("put", "PUT", "k", {"tagging": ""}, tags)
    s.get("get", "k", query={"tagging": ""})
    s.head("head", "k")
    s.delete("delete", "k", query={"tagging": ""})
    s.get("get after", "k", query={"tagging": ""})
    s.xml("put what is no XML", "PUT", "k", {"tagging": ""}, tags[:-4])
    twice = tags.replace("</Tag>", "</Tag><Tag><Key>a b</Key><Value>2</Value></Tag>")
    s.xml("put one twice", "PUT", "k", {"tagging": ""}, twice)
    many = "&".join(f"t{n}=1" for n in range(11))
    s.put("put an object with eleven", "l", SMALL, headers={"x-amz-tagging": many})


@scenario
def object_acls(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    s.get("get", "k", query={"acl": ""})
    s.ask("put canned", "PUT", "k", query={"acl": ""}, headers={"x-amz-acl": "private"})
    s.put("put an object with one", "l", SMALL, headers={"x-amz-acl": "private"})
    s.put("put an object with an odd one", "m", SMALL, headers={"x-amz-acl": "odd"})


@scenario
def other_sub_resources(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    for name in ("torrent", "legal-hold", "retention", "nosuchthing"):
        s.get(name, "k", query={name: ""})
    s.xml(
        "restore", "POST", "k", {"restore": ""}, "<RestoreRequest><Days>1</Days></RestoreRequest>"
    )
    s.ask("an unknown POST", "POST", "k", query={"nosuchthing": ""})
