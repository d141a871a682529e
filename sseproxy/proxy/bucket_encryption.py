"""Put-, Get- and DeleteBucketEncryption, which the store never sees; and DeleteBucket.

What is set lies sealed in the settings index, so it needs a grant that the store has no say in:
`administrators` in the YAML.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace

from aiohttp import web

from sseproxy.errors import SseProxyError
from sseproxy.keys.bucket_settings import BucketSettings
from sseproxy.proxy.answer import relay
from sseproxy.proxy.body import ClientBody, read_whole
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.passthrough import forward
from sseproxy.proxy.policy import check_available
from sseproxy.s3.bucket_encryption import (
    BucketEncryption,
    bucket_encryption_xml,
    parse_bucket_encryption,
)
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import SseMode

log = logging.getLogger("sseproxy")

_DOCUMENT_LIMIT_BYTES = 64 * 1024
_NOT_SET = {
    Dialect.S3: Fault.ServerSideEncryptionConfigurationNotFoundError,
    Dialect.COS: Fault.NoSuchEncryptionConfiguration,
}


async def put_bucket_encryption(exchange: Exchange) -> web.StreamResponse:
    """PutBucketEncryption. It applies here at once, in other workers within seconds."""
    _require_administrator(exchange)
    document = await read_document(exchange, _DOCUMENT_LIMIT_BYTES)
    encryption = parse_bucket_encryption(document, exchange.dialect)
    refusal = await _unknown_bucket(exchange)
    if refusal is not None:
        return refusal
    exchange.policy.check_allowed(encryption.mode)
    check_available(encryption.mode)
    await _set_encryption(exchange, encryption)
    return exchange.answer(200)


async def get_bucket_encryption(exchange: Exchange) -> web.StreamResponse:
    """GetBucketEncryption: what a write gets that asks for nothing, by API or by YAML."""
    refusal = await _unknown_bucket(exchange)
    if refusal is not None:
        return refusal
    by_api = exchange.services.keys.settings.of(exchange.bucket)
    rule = exchange.policy
    mode = rule.default_mode(by_api)
    if mode is SseMode.NONE:
        raise S3Error(_NOT_SET[exchange.dialect])
    shown = replace(
        by_api.encryption or BucketEncryption(mode),
        blocks_sse_c=by_api.blocks_sse_c or rule.block_sse_c,
    )
    body = bucket_encryption_xml(shown, exchange.dialect)
    return exchange.answer(200, {"content-type": "application/xml"}, body)


async def delete_bucket_encryption(exchange: Exchange) -> web.StreamResponse:
    """DeleteBucketEncryption: the YAML's rule holds again. Done twice, it is no error."""
    _require_administrator(exchange)
    refusal = await _unknown_bucket(exchange)
    if refusal is not None:
        return refusal
    await _set_encryption(exchange, None)
    return exchange.answer(204)


async def delete_bucket(exchange: Exchange) -> web.StreamResponse:
    """DeleteBucket; a new bucket of that name does not inherit what was set by API.

    Forgotten is only the entry that was there before: one that was set since is another bucket's.
    If it can't be forgotten it stays, which can only make a new bucket stricter.
    """
    entry = await newest_settings(exchange)
    response = await forward(exchange)
    async with response:
        if response.status in (200, 204) and entry.says_anything:
            await _forget(exchange, entry)
        return await relay(exchange, response)


async def newest_settings(exchange: Exchange) -> BucketSettings:
    """What is set for the bucket now; for anonymous requests, and if it can't be read, lately.

    Nobody without a key makes the proxy use its own.
    """
    keys = exchange.services.keys
    if not exchange.anonymous:
        with contextlib.suppress(SseProxyError):
            await keys.refresh_settings()
    return keys.settings.of(exchange.bucket)


async def read_document(exchange: Exchange, limit_bytes: int) -> bytes:
    """The verified body of a request that carries a document.

    Raises S3Error: MaxMessageLengthExceeded, or what is wrong with the body.
    """
    body = ClientBody(exchange)
    if body.length > limit_bytes:
        raise S3Error(Fault.MaxMessageLengthExceeded)
    return await read_whole(body)


def _require_administrator(exchange: Exchange) -> None:
    client = exchange.client
    if client is None:
        raise exchange.anonymous_denied()
    if client.access_key not in exchange.services.administrators:
        raise S3Error(Fault.AccessDenied, "Changing a bucket's encryption needs an administrator.")


async def _unknown_bucket(exchange: Exchange) -> web.StreamResponse | None:
    """The store's refusal, if the client may not know of the bucket."""
    response = await exchange.send("GET", {}, query=[("location", "")])
    async with response:
        if response.status != 200:
            return await relay(exchange, response)
        await response.read()
    return None


async def _set_encryption(exchange: Exchange, encryption: BucketEncryption | None) -> None:
    bucket = exchange.bucket
    await exchange.services.keys.update_settings(
        lambda settings: settings.with_bucket(
            bucket, replace(settings.of(bucket), encryption=encryption)
        )
    )


async def _forget(exchange: Exchange, entry: BucketSettings) -> None:
    bucket = exchange.bucket
    try:
        await exchange.services.keys.update_settings(
            lambda settings: (
                settings.with_bucket(bucket, BucketSettings())
                if settings.of(bucket) == entry
                else settings
            )
        )
    except SseProxyError as error:
        log.warning("what was set for deleted bucket %s stays: %s", bucket, error)
