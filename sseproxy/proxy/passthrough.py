"""What is not an encryption matter: streamed through, re-signed, status and body intact.

And the guards in front of it: operations that would store plaintext, or that can't work on
ciphertext, are refused by name.
"""

from __future__ import annotations

from aiohttp import web

from sseproxy.format.layout import SMALL_OBJECT_BYTES
from sseproxy.proxy.anonymous import refuse_encrypted
from sseproxy.proxy.answer import relay
from sseproxy.proxy.body import ClientBody, held_back, read_whole
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import look
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA, forwarded_request_headers
from sseproxy.s3.xml import drop_bucket
from sseproxy.store.objects import StoreResponse

_LISTING_LIMIT_BYTES = 64 * 1024 * 1024


async def passthrough(exchange: Exchange) -> web.StreamResponse:
    """Send the request on as it is, its body verified."""
    return await relay(exchange, await forward(exchange))


async def forward(exchange: Exchange, pinned: dict[str, str] | None = None) -> StoreResponse:
    """The store's answer to the client's own request. pinned: headers to replace."""
    headers = forwarded_request_headers(exchange.head.headers) | (pinned or {})
    method = exchange.head.method
    body = ClientBody(exchange)
    if body.length > SMALL_OBJECT_BYTES:
        return await exchange.send(
            method, headers, body=held_back(body), content_length=body.length
        )
    plain = await read_whole(body)
    if not plain and method not in ("PUT", "POST"):
        return await exchange.send(method, headers)
    return await exchange.send(method, headers | body.trailer_headers(), body=plain)


async def unknown_bucket_write(exchange: Exchange) -> web.StreamResponse:
    """Passes, unless a store could take it for a change of the bucket's own encryption."""
    if any("encryption" in name.lower() for name in exchange.head.query):
        return await not_implemented(exchange)
    return await passthrough(exchange)


async def list_buckets(exchange: Exchange) -> web.StreamResponse:
    """ListBuckets without the system bucket."""
    response = await forward(exchange)
    async with response:
        if response.status != 200:
            return await relay(exchange, response)
        body = await response.read(_LISTING_LIMIT_BYTES)
    shown = drop_bucket(body, exchange.services.system_bucket)
    return exchange.answer(200, {"content-type": "application/xml"}, shown)


async def not_implemented(exchange: Exchange) -> web.StreamResponse:
    """An operation that the proxy does not offer, at all or yet."""
    raise S3Error(
        Fault.NotImplemented,
        f"{exchange.operation.value} is not implemented by this proxy; "
        "what it doesn't know it doesn't let through.",
    )


async def plain_data_only(exchange: Exchange) -> web.StreamResponse:
    """An operation in which the store reads object data: it has only ciphertext of some."""
    if exchange.anonymous:
        await refuse_encrypted(exchange, exchange.bucket, exchange.key)
    else:
        version = exchange.head.query.get("versionId", "")
        seen = await look(
            exchange.services, exchange.credential, exchange.bucket, exchange.key, version
        )
        if seen.sealed is not None:
            raise S3Error(
                Fault.NotImplemented,
                f"{exchange.operation.value} works on the stored bytes, "
                "and this object is stored encrypted.",
            )
        if seen.found:
            refuse_plaintext(exchange.policy)
    response = await forward(exchange)
    if RESERVED_METADATA in response.headers:
        response.release()
        raise S3Error(Fault.ServiceUnavailable, "The object keeps changing; try again.")
    return await relay(exchange, response)
