"""The head of a request as it came on the wire: the one input of everything in this package.

What was sent is kept beside what it means: signatures are over the wire form, the meaning is
decoded exactly once and never normalised, so `//`, `..` and `%2F` in keys arrive as sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote

from sseproxy.s3.faults import Fault, S3Error

# RFC 3986 in origin form, less the fragment: printable ASCII, every "%" followed by two digits.
_WIRE = re.compile(r"(?:[!-\"$&-~]|%[0-9A-Fa-f]{2})*")
_ABSOLUTE = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Dialect(Enum):
    """Whose header names a request uses and an answer must use."""

    S3 = "s3"
    COS = "cos"

    @property
    def prefix(self) -> str:
        """What this dialect's own header names begin with."""
        return "x-amz-" if self is Dialect.S3 else "x-cos-"


# Not frozen, like the other classes that every request makes one of: it takes five times as long.
@dataclass(slots=True)
class RequestHead:
    """Method, target and headers of one request.

    method: upper case. raw_path: still percent-encoded, begins with "/", without the query.
    raw_query: as on the wire, without "?", "" if none. query: decoded once ("+" is a space),
    the first value of each name, "" for a name without one. headers: lower-case names, stripped
    values, repeated ones joined with ",". secure: the client used TLS.
    """

    method: str
    raw_path: str
    raw_query: str
    query: dict[str, str]
    headers: dict[str, str]
    secure: bool

    @property
    def host(self) -> str:
        """The Host header, with its port if one was sent; "" if absent."""
        return self.headers.get("host", "")

    def __repr__(self) -> str:
        # Headers and query carry signatures, tokens and customer keys: none of them in a log.
        return f"RequestHead({self.method} {self.raw_path})"


def make_head(
    method: str, raw_target: str, header_items: Iterable[tuple[str, str]], *, secure: bool
) -> RequestHead:
    """The head of a request whose target is in origin form or absolute form (RFC 9112, 3.2).

    header_items: names and values in wire order. Raises S3Error: InvalidURI for a target that
    is malformed, has a fragment or is not UTF-8 once decoded; BadRequest for two Host headers.
    """
    headers = _joined(header_items)
    absolute = _ABSOLUTE.fullmatch(raw_target)
    if absolute is not None:
        authority, raw_target = absolute.groups()
        if not _AUTHORITY.fullmatch(authority):
            raise S3Error(Fault.InvalidURI)
        headers["host"] = authority  # RFC 9112, 3.2.2: the target's authority replaces Host
        if not raw_target.startswith("/"):
            raw_target = "/" + raw_target
    if not raw_target.startswith("/") or not _WIRE.fullmatch(raw_target):
        raise S3Error(Fault.InvalidURI)
    raw_path, _, raw_query = raw_target.partition("?")
    decode(raw_path)
    return RequestHead(method.upper(), raw_path, raw_query, _query(raw_query), headers, secure)


def _joined(header_items: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in header_items:
        lower, stripped = name.lower(), value.strip(" \t")
        if lower not in headers:
            headers[lower] = stripped
        elif lower == "host":  # two readers of this request could choose differently
            raise S3Error(Fault.BadRequest, "The request has more than one Host header.")
        else:
            headers[lower] += "," + stripped
    return headers


def _query(raw_query: str) -> dict[str, str]:
    query: dict[str, str] = {}
    for pair in raw_query.split("&"):
        if pair:
            name, _, value = pair.replace("+", " ").partition("=")
            query.setdefault(decode(name), decode(value))
    return query


def decode(encoded: str) -> str:
    """Percent-encoded UTF-8 decoded once; "+" stays. Raises S3Error(InvalidURI) if not UTF-8."""
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError as error:
        raise S3Error(Fault.InvalidURI) from error


def encode_key(key: str) -> str:
    """A key percent-encoded for a path: UTF-8, upper-case hex; A-Z a-z 0-9 - _ . ~ / stay."""
    return quote(key, safe="/-_.~")


def encode_query(items: Iterable[tuple[str, str]]) -> str:
    """Names and values as a canonical query string "a=b&c=", in the order given."""
    return "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in items
    )
