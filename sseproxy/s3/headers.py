"""Which headers and query parameters go on to the store, and which come back.

The proxy is the end of the client's connection and signature: what belongs to those stays here,
and so does everything that only the proxy may say or know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from sseproxy.s3.conditions import CONDITION_HEADERS
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import is_sse_header

RESERVED_METADATA = "x-amz-meta-sseproxy"
COPY_CONDITION_HEADERS = tuple(f"x-amz-copy-source-{name}" for name in CONDITION_HEADERS)

_CONDITIONS = {*CONDITION_HEADERS, *COPY_CONDITION_HEADERS}
_RESERVED = (RESERVED_METADATA, "x-cos-meta-sseproxy")
_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
}
# A client can't take these away from the request by naming them in Connection.
_END_TO_END_PREFIXES = ("x-amz-", "x-cos-", "content-", "if-", "range")
# Of the client's connection, framing and signature. Accept-encoding too: the proxy has to read
# what the store answers; method overrides would make another operation of a classified one.
_REQUEST_DROPS = _HOP_BY_HOP | {
    *("host", "authorization", "content-length", "expect", "date", "accept-encoding"),
    *("forwarded", "via", "x-real-ip", "x-amz-date", "x-amz-content-sha256"),
    *("x-amz-security-token", "x-cos-security-token", "x-amz-decoded-content-length"),
    *("x-amz-trailer", "x-amz-sdk-checksum-algorithm"),
    *("x-http-method", "x-http-method-override", "x-method-override"),
}
_RESPONSE_DROPS = _HOP_BY_HOP | {"content-length", "server", "date", "alt-svc"}
_DIGEST_PREFIXES = ("content-md5", "x-amz-checksum-", "x-cos-hash-")
_SIGNATURE_QUERY = {
    *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires"),
    *("x-amz-signedheaders", "x-amz-signature", "x-amz-security-token", "x-amz-content-sha256"),
    *("x-amz-sdk-checksum-algorithm", "awsaccesskeyid", "signature", "expires", "x-id"),
    *("q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list"),
    *("q-url-param-list", "q-signature", "x-cos-security-token"),
}
_HEADER_PREFIXES = tuple(dialect.prefix for dialect in Dialect)
_HOISTED = ("content-md5", "content-type")  # V2 pre-signing moves these too
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")  # RFC 9110, 5.6.2, in lower case
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


# Asked of every header of every request; clients use few names.
@lru_cache(maxsize=1024)
def is_reserved(name: str) -> bool:
    """Whether a header, field or query name is metadata that only the proxy may set or see."""
    return name.lower().startswith(_RESERVED)


def forwarded_request_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What of a client's headers (lower-case names) goes on to the store.

    "aws-chunked" is taken out of content-encoding. Raises S3Error(InvalidArgument) if the
    client sets the proxy's own metadata.
    """
    _refuse_reserved(headers)
    kept = {name: value for name, value in headers.items() if _goes_on(name)}
    for name in _nominated(headers):
        kept.pop(name, None)
    if "content-encoding" in kept:
        encodings = [item.strip() for item in kept.pop("content-encoding").split(",")]
        kept_encodings = [item for item in encodings if item and item.lower() != "aws-chunked"]
        if kept_encodings:
            kept["content-encoding"] = ",".join(kept_encodings)
    return kept


@lru_cache(maxsize=1024)
def _goes_on(name: str) -> bool:
    return not (name in _REQUEST_DROPS or name.startswith("x-forwarded-") or is_sse_header(name))


def forwarded_query(query: Mapping[str, str]) -> list[tuple[str, str]]:
    """What of a client's query goes on to the store: not its signature, nor hoisted headers.

    Stores take metadata from the query as from headers, so the proxy sends those as headers
    only (`hoisted_headers`). Raises S3Error(InvalidArgument) as `forwarded_request_headers`.
    """
    _refuse_reserved(query)
    return [
        (name, value)
        for name, value in query.items()
        if name.lower() not in _SIGNATURE_QUERY and not _is_hoisted(name.lower())
    ]


def hoisted_headers(query: Mapping[str, str]) -> dict[str, str]:
    """Headers that pre-signing moved into the query, by lower-case name, SSE's not included.

    They count as headers of the request where it has none of that name. Raises
    S3Error(InvalidArgument) for what could not have come in a header, such as line breaks.
    """
    _refuse_reserved(query)
    lower = {name.lower(): value for name, value in query.items()}
    hoisted = {
        name: value
        for name, value in lower.items()
        if name not in _SIGNATURE_QUERY and _is_hoisted(name) and not is_sse_header(name)
    }
    for name, value in hoisted.items():
        if not _FIELD_NAME.fullmatch(name) or _NOT_IN_VALUE.search(value):
            raise S3Error(Fault.InvalidArgument, "A header in the query is not a valid header.")
    return hoisted


def without_digests(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without digests of the body: plaintext digests never reach the store."""
    return {name: value for name, value in headers.items() if not _is_digest(name)}


@lru_cache(maxsize=1024)
def _is_digest(name: str) -> bool:
    return name.startswith(_DIGEST_PREFIXES)


def without_conditions(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without conditions, on the object or a copy's source: those name client ETags."""
    return {name: value for name, value in headers.items() if name not in _CONDITIONS}


def forwarded_response_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What of a store's headers (lower-case names) goes back to the client.

    content-length is the caller's to set; checksums stay (the caller drops them for sealed
    objects, `without_digests`); the store's own encryption is not the client's business.
    """
    kept = {name: value for name, value in headers.items() if _comes_back(name)}
    for name in _nominated(headers):
        kept.pop(name, None)
    return kept


@lru_cache(maxsize=1024)
def _comes_back(name: str) -> bool:
    return not (name in _RESPONSE_DROPS or is_reserved(name) or is_sse_header(name))


def _refuse_reserved(names: Mapping[str, str]) -> None:
    if any(map(is_reserved, names)):
        raise S3Error(
            Fault.InvalidArgument,
            "This metadata name is reserved for server-side encryption.",
            ArgumentName=RESERVED_METADATA,
        )


def _is_hoisted(lower: str) -> bool:
    return lower.startswith(_HEADER_PREFIXES) or lower in _HOISTED


def _nominated(headers: Mapping[str, str]) -> set[str]:
    """Names in Connection, which are hop-by-hop (RFC 9110, 7.6.1)."""
    if "connection" not in headers:
        return set()
    names = {name.strip().lower() for name in headers["connection"].split(",")}
    return {name for name in names if not name.startswith(_END_TO_END_PREFIXES)}
