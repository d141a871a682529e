"""Conditions on writes: asked of the client's ETag, sent to the store with the store's.

So they are as atomic as the store makes them, and no client has to know what is stored.
"""

from __future__ import annotations

from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look, content_range, look
from sseproxy.s3.conditions import Conditions, Outcome, evaluate
from sseproxy.s3.faults import Fault, S3Error


async def pinned_write(exchange: Exchange) -> dict[str, str]:
    """The condition headers for the store of a PUT or DELETE of this object.

    Raises S3Error: PreconditionFailed, or NotImplemented for an `If-None-Match` that names an
    ETag (S3 takes only `*` on writes).
    """
    headers = exchange.head.headers
    if_match, if_none_match = headers.get("if-match"), headers.get("if-none-match")
    pinned: dict[str, str] = {}
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise S3Error(Fault.NotImplemented, "On writes, If-None-Match takes only '*'.")
        pinned["if-none-match"] = "*"
    if if_match is not None:
        pinned["if-match"] = await _store_etag(exchange, if_match)
    return pinned


def client_etag(seen: Look) -> str:
    """The ETag by which clients know an object that was found, unquoted."""
    if seen.sealed is not None:
        return seen.sealed.attributes.etag_text
    return seen.headers.get("etag", "").strip('"')


def client_size(seen: Look) -> int:
    """The size that clients know, in bytes, of an object that was found."""
    if seen.sealed is not None:
        return seen.sealed.plain_size
    if seen.status == 416:
        return 0  # nothing to have a range of
    if seen.status == 206:
        return content_range(seen.headers)[2]
    return int(seen.headers.get("content-length", "0"))


async def _store_etag(exchange: Exchange, if_match: str) -> str:
    if if_match.strip() == "*" or exchange.anonymous:
        return if_match
    seen = await look(exchange.services, exchange.credential, exchange.bucket, exchange.key)
    if not seen.found:
        return if_match
    asked = Conditions(if_match=if_match)
    if evaluate(asked, client_etag(seen), None, reading=False) is not Outcome.PROCEED:
        raise S3Error(Fault.PreconditionFailed, Condition="If-Match")
    return f'"{seen.sealed.store_etag}"' if seen.sealed is not None else if_match
