"""Listings with the sizes and ETags that HEAD gives, for every encrypted entry."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from sseproxy.errors import FormatError, IntegrityError, KeyUnavailable, StoreRefused
from sseproxy.format.layout import is_sealed_object_size
from sseproxy.proxy.answer import relay
from sseproxy.proxy.exchange import Exchange, Services
from sseproxy.proxy.lookup import look
from sseproxy.proxy.passthrough import forward
from sseproxy.s3.headers import forwarded_response_headers
from sseproxy.s3.request import encode_key
from sseproxy.s3.xml import Entry, Listing

log = logging.getLogger("sseproxy")

_LIMIT_BYTES = 64 * 1024 * 1024


async def list_objects(exchange: Exchange) -> web.StreamResponse:
    """ListObjects, ListObjectsV2 and ListObjectVersions.

    The store has to allow the client's own listing first. An anonymous one shows the store's
    own sizes and ETags: a digest of the plaintext is not for everyone.
    """
    response = await forward(exchange)
    async with response:
        as_stored = exchange.anonymous or not exchange.services.exact_listing
        if response.status != 200 or (as_stored and "metadata" not in exchange.head.query):
            return await relay(exchange, response)
        body = await response.read(_LIMIT_BYTES)
    listing = Listing.parse(body)
    if not as_stored:
        await _resolve_all(exchange, listing)
    for entry in listing.entries:
        entry.drop_reserved_metadata()
    headers = forwarded_response_headers(response.headers)
    return exchange.answer(200, headers, listing.to_bytes())


async def _resolve_all(exchange: Exchange, listing: Listing) -> None:
    unknown = [entry for entry in listing.entries if not _known(exchange, entry)]
    limit = asyncio.Semaphore(exchange.services.limits.listing_looks)
    try:
        async with asyncio.TaskGroup() as looks:
            for entry in unknown:
                looks.create_task(_resolve(exchange.services, exchange.bucket, entry, limit))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # one failed look is the answer's own failure


def _known(exchange: Exchange, entry: Entry) -> bool:
    """Fill in what needs no request: no sealed object has that size, or it is remembered."""
    if entry.size is None or not is_sealed_object_size(entry.size):
        return True
    cache, version = exchange.services.cache, entry.version_id or ""
    if cache.is_plain(exchange.bucket, entry.key, version, entry.etag, entry.size):
        return True
    state = cache.get(exchange.bucket, entry.key, version, store_etag=entry.etag)
    if state is None or state.sealed_size != entry.size:
        return False
    entry.set(size=state.plain_size, etag=state.attributes.etag_text or "")
    return True


async def _resolve(services: Services, bucket: str, entry: Entry, limit: asyncio.Semaphore) -> None:
    """Look at one entry, as the service account, now that the store has allowed the listing."""
    version = entry.version_id or ""
    async with limit:
        try:
            seen = await look(services, services.service_credential, bucket, entry.key, version)
        except (FormatError, KeyUnavailable) as error:
            # A damaged or foreign object must not hide the others: it is listed as stored.
            if isinstance(error, IntegrityError):
                services.metrics.integrity_failures.labels(error.reason).inc()
            log.warning("listing: %s/%s can't be opened: %s", bucket, encode_key(entry.key), error)
            return
    if seen.sealed is not None:
        entry.set(size=seen.sealed.plain_size, etag=seen.sealed.attributes.etag_text or "")
    elif seen.found and entry.size is not None:
        services.cache.put_plain(bucket, entry.key, version, entry.etag, entry.size)
    elif seen.status != 404 and not _archived(seen.body):
        raise StoreRefused(
            seen.status, "", f"the service account can't look at objects of bucket {bucket}"
        )


def _archived(body: bytes) -> bool:
    return b"<Code>InvalidObjectState</Code>" in body
