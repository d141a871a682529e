"""Conditional reads, writes and deletes."""

from __future__ import annotations

import hashlib

from tests.contract.scenarios.bodies import LARGE, SMALL
from tests.contract.session import Session, scenario

_ETAG = hashlib.md5(SMALL).hexdigest()
_OTHER = "0" * 32
_PAST, _FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
_READS = {
    "match": {"if-match": f'"{_ETAG}"'},
    "match unquoted": {"if-match": _ETAG},
    "match any": {"if-match": "*"},
    "match other": {"if-match": f'"{_OTHER}"'},
    "none match": {"if-none-match": f'"{_ETAG}"'},
    "none match any": {"if-none-match": "*"},
    "none match other": {"if-none-match": f'"{_OTHER}"'},
    "match one of two": {"if-match": f'"{_OTHER}", "{_ETAG}"'},
    "none match one of two": {"if-none-match": f'"{_OTHER}", "{_ETAG}"'},
    "modified since the past": {"if-modified-since": _PAST},
    "modified since the future": {"if-modified-since": _FUTURE},
    "unmodified since the past": {"if-unmodified-since": _PAST},
    "unmodified since the future": {"if-unmodified-since": _FUTURE},
    "match and unmodified since the past": {
        "if-match": f'"{_ETAG}"',
        "if-unmodified-since": _PAST,
    },
    "none match other and modified since the future": {
        "if-none-match": f'"{_OTHER}"',
        "if-modified-since": _FUTURE,
    },
    "an odd date": {"if-modified-since": "yesterday"},
}


@scenario
def conditional_reads(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    for name, headers in _READS.items():
        s.get(f"get {name}", "k", headers=headers)
        s.head(f"head {name}", "k", headers=headers)
        s.get(f"range {name}", "k", headers={**headers, "range": "bytes=0-3"})


@scenario
def conditional_writes(s: Session) -> None:
    s.make()
    absent, wrong = {"if-none-match": "*"}, {"if-match": f'"{_OTHER}"'}
    s.put("match what is not there", "k", SMALL, headers=wrong)
    s.put("absent", "k", SMALL, headers=absent)
    s.put("absent again", "k", SMALL, headers=absent)
    s.put("absent again, large", "k", LARGE, headers=absent)
    s.put("match", "k", SMALL, headers={"if-match": f'"{_ETAG}"'})
    s.put("match other", "k", SMALL, headers=wrong)
    s.put("match other, large", "k", LARGE, headers=wrong)
    s.put("none match an ETag", "k", SMALL, headers={"if-none-match": f'"{_ETAG}"'})
    s.get("what is there", "k")


@scenario
def conditional_deletes(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    s.delete("match other", "k", headers={"if-match": f'"{_OTHER}"'})
    s.head("still there", "k")
    s.put("_put again", "k", SMALL)
    s.delete("match", "k", headers={"if-match": f'"{_ETAG}"'})
    s.head("gone", "k")
    s.delete("match nothing", "k", headers={"if-match": f'"{_ETAG}"'})
