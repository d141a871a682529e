"""Conditions on writes: asked of the client's ETag, sent to the store with the store's.

So they are as atomic as the store makes them, and no client has to know what is stored.
"""

from __future__ import annotations

from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import look
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


async def _store_etag(exchange: Exchange, if_match: str) -> str:
    if if_match.strip() == "*" or exchange.anonymous:
        return if_match
    seen = await look(exchange.services, exchange.credential, exchange.bucket, exchange.key)
    if not seen.found:
        return if_match
    asked = Conditions(if_match=if_match)
    etag = seen.headers.get("etag", "").strip('"')
    if seen.sealed is not None:
        etag = seen.sealed.attributes.etag_text
    if evaluate(asked, etag, None, reading=False) is not Outcome.PROCEED:
        raise S3Error(Fault.PreconditionFailed, Condition="If-Match")
    return f'"{seen.sealed.store_etag}"' if seen.sealed is not None else if_match
