"""CopyObject."""

from __future__ import annotations

import hashlib

from tests.contract.scenarios.bodies import LARGE, SMALL
from tests.contract.session import Session, scenario

_ETAG = hashlib.md5(SMALL).hexdigest()
_OTHER = "0" * 32


@scenario
def copies(s: Session) -> None:
    s.make()
    s.make(s.other)
    kept = {"content-type": "text/x-test", "x-amz-meta-a": "1", "x-amz-tagging": "t=1"}
    s.put("_small", "from a+b", SMALL, headers=kept)
    s.put("_large", "large", LARGE)
    s.put("_empty", "empty")
    source = {"x-amz-copy-source": f"/{s.bucket}/from%20a%2Bb"}
    s.put("keep", "kept", headers=source)
    s.head("kept", "kept")
    s.get("tags kept", "kept", query={"tagging": ""})
    s.get("read", "kept")
    s.put("without a slash", "k2", headers={"x-amz-copy-source": f"{s.bucket}/from%20a%2Bb"})
    s.put("elsewhere", "k", headers=source, bucket=s.other)
    s.get("read elsewhere", "k", bucket=s.other)
    s.put("large", "large copy", headers={"x-amz-copy-source": f"/{s.bucket}/large"})
    s.get("read large", "large copy")
    s.put("empty", "empty copy", headers={"x-amz-copy-source": f"/{s.bucket}/empty"})
    s.get("read empty", "empty copy")
    replace = {**source, "x-amz-metadata-directive": "REPLACE"}
    s.put("replace", "r", headers={**replace, "x-amz-meta-b": "2", "content-type": "text/x-new"})
    s.head("replaced", "r")
    retag = {**source, "x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "u=2"}
    s.put("tag anew", "t", headers=retag)
    s.get("tags anew", "t", query={"tagging": ""})


@scenario
def copies_onto_themselves(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL, headers={"x-amz-meta-a": "1"})
    source = {"x-amz-copy-source": f"/{s.bucket}/k"}
    s.put("unchanged", "k", headers=source)
    s.put(
        "new metadata",
        "k",
        headers={**source, "x-amz-metadata-directive": "REPLACE", "x-amz-meta-b": "2"},
    )
    s.head("head", "k")
    s.get("get", "k")


@scenario
def conditional_copies(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    source = {"x-amz-copy-source": f"/{s.bucket}/k"}
    past, future = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    for name, condition in {
        "match": {"if-match": f'"{_ETAG}"'},
        "match other": {"if-match": f'"{_OTHER}"'},
        "none match": {"if-none-match": f'"{_ETAG}"'},
        "none match other": {"if-none-match": f'"{_OTHER}"'},
        "modified since the past": {"if-modified-since": past},
        "unmodified since the past": {"if-unmodified-since": past},
        "unmodified since the future": {"if-unmodified-since": future},
    }.items():
        sent = {f"x-amz-copy-source-{n}": v for n, v in condition.items()}
        s.put(name, "copy", headers={**source, **sent})
    s.put("_there", "there", SMALL * 2)
    s.put("destination absent", "there", headers={**source, "if-none-match": "*"})
    s.put("destination match", "there", headers={**source, "if-match": f'"{_OTHER}"'})
    s.get("destination", "there")


@scenario
def copies_that_cannot_be(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    for name, source in {
        "no such key": f"/{s.bucket}/none",
        "no such bucket": f"/{s.other}/k",
        "a bucket alone": f"/{s.bucket}",
        "nothing": "/",
        "odd encoding": f"/{s.bucket}/%zz",
    }.items():
        s.put(name, "copy", headers={"x-amz-copy-source": source})
    source = {"x-amz-copy-source": f"/{s.bucket}/k"}
    s.put("to no bucket", "k", headers=source, bucket=s.other)
    for name in ("metadata", "tagging"):
        headers = {**source, f"x-amz-{name}-directive": "ODD"}
        s.put(f"an odd {name} directive", "copy", headers=headers)
    s.put("with a body", "copy", b"body", headers=source)
