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
from sseproxy.proxy.pinning import pinned_write
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.s3 import sse
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA, forwarded_request_headers
from sseproxy.s3.sse import SseMode
from sseproxy.s3.xml import drop_bucket, parse_delete
from sseproxy.store.objects import StoreResponse

_LISTING_LIMIT_BYTES = 64 * 1024 * 1024
# 1,000 keys of 1,024 bytes, each byte an XML character reference, and their version ids.
_DELETE_LIMIT_BYTES = 8 * 1024 * 1024


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


async def delete_object(exchange: Exchange) -> web.StreamResponse:
    """DELETE, with `If-Match` asked of the client's ETag."""
    response = await forward(exchange, await pinned_write(exchange))
    exchange.services.cache.drop(exchange.bucket, exchange.key)
    return await relay(exchange, response)


async def delete_objects(exchange: Exchange) -> web.StreamResponse:
    """DeleteObjects: the keys in its body are held to the rules of keys in a path."""
    body = ClientBody(exchange)
    if body.length > _DELETE_LIMIT_BYTES:
        raise S3Error(Fault.MaxMessageLengthExceeded)
    document = await read_whole(body)
    items = parse_delete(document).items
    if any(item.etag or item.last_modified or item.size for item in items):
        raise S3Error(Fault.NotImplemented, "Conditions in DeleteObjects are not implemented.")
    for item in items:
        exchange.services.store_limits.check_key(item.key)
    headers = forwarded_request_headers(exchange.head.headers) | body.trailer_headers()
    response = await exchange.send("POST", headers, body=document)
    for item in items:
        exchange.services.cache.drop(exchange.bucket, item.key)
    return await relay(exchange, response)


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


async def plain_multipart(exchange: Exchange) -> web.StreamResponse:
    """A multipart operation that writes: only where nothing has to be encrypted."""
    asked = sse.parse_write(
        exchange.head.headers,
        secure=exchange.head.secure,
        allow_insecure_ssec=exchange.services.allow_insecure_ssec,
    )
    if exchange.policy.mode_of_write(asked) is not SseMode.NONE:
        if exchange.anonymous:
            raise exchange.anonymous_denied()
        raise S3Error(
            Fault.NotImplemented,
            "Encrypted multipart uploads are not implemented yet; send the object in one PUT.",
        )
    return await passthrough(exchange)


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


async def get_bucket_encryption(exchange: Exchange) -> web.StreamResponse:
    """GetBucketEncryption: what the configuration gives a write that asks for nothing.

    The store is asked first whether the client may know of the bucket.
    """
    query = [("location", "")]
    response = await exchange.send("GET", {}, query=query)
    async with response:
        if response.status != 200:
            return await relay(exchange, response)
        await response.read()
    if exchange.policy.default is SseMode.NONE:
        raise S3Error(Fault.ServerSideEncryptionConfigurationNotFoundError)
    return exchange.answer(200, {"content-type": "application/xml"}, _BUCKET_ENCRYPTION)


_BUCKET_ENCRYPTION = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    b"</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
)
