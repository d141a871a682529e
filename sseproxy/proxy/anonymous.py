"""Requests without a signature: what is public stays public, what is encrypted is never served.

They go to the store unsigned and without conditions, so the store's own policy decides, and
the answer alone shows whether the object is encrypted. Nothing here uses a key.
"""

from __future__ import annotations

from aiohttp import web

from sseproxy.proxy.answer import relay
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.s3 import sse
from sseproxy.s3.conditions import Outcome, evaluate, parse_conditions, parse_http_date
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA, forwarded_request_headers, without_conditions


async def read_object(exchange: Exchange) -> web.StreamResponse:
    """GET and HEAD. A condition is answered here: at the store it would tell of ciphertext."""
    sse.parse_read(exchange.head.headers, secure=True, allow_insecure_ssec=True)
    headers = exchange.head.headers
    response = await exchange.send(
        exchange.head.method, without_conditions(forwarded_request_headers(headers))
    )
    async with response:
        if RESERVED_METADATA in response.headers:
            raise exchange.anonymous_denied()
        if response.status == 416:
            # The only error whose answer depends on the object: is it an encrypted one's size?
            await refuse_encrypted(exchange, exchange.bucket, exchange.key)
        if response.status in (200, 206):
            refuse_plaintext(exchange.policy)
            etag = response.headers.get("etag", "").strip('"')
            modified = response.headers.get("last-modified", "")
            outcome = evaluate(parse_conditions(headers), etag, parse_http_date(modified))
            if outcome is Outcome.PRECONDITION_FAILED:
                raise S3Error(Fault.PreconditionFailed)
            if outcome is Outcome.NOT_MODIFIED:
                return exchange.answer(304, {"etag": f'"{etag}"', "last-modified": modified})
        return await relay(exchange, response)


async def refuse_encrypted(
    exchange: Exchange, bucket: str, key: str, version: str | None = None
) -> None:
    """Raise AccessDenied unless an unsigned HEAD shows an object in plaintext, or none.

    version: of the object; by default the one that the request's own query names.
    """
    if version is None:
        version = exchange.head.query.get("versionId", "")
    query = [("versionId", version)] if version else []
    response = await exchange.services.store.send(None, "HEAD", bucket, key, query=query)
    async with response:
        plain = response.status == 200 and RESERVED_METADATA not in response.headers
        if plain:
            refuse_plaintext(exchange.services.policies.of(bucket))
        elif response.status != 404:
            raise exchange.anonymous_denied()
