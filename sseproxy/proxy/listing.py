"""Listings with the sizes and ETags that HEAD gives, for every encrypted entry.

What an entry is comes from, in this order: the attribute cache; the metadata listing of a store
that has one; a look at the object. A metadata listing costs such a store more than a plain one,
so it is asked for only where the page is not known from before.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from aiohttp import web

from sseproxy.errors import (
    FormatError,
    IntegrityError,
    KeyUnavailable,
    StoreProtocolError,
    StoreRefused,
)
from sseproxy.format.layout import SMALL_OBJECT_BYTES, needs_trailer
from sseproxy.proxy.answer import relay
from sseproxy.proxy.body import ClientBody, read_whole
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.exchange import Exchange, Services
from sseproxy.proxy.lookup import (
    SMALLEST_SEALED_BYTES,
    Place,
    look,
    open_envelope,
    with_manifest,
)
from sseproxy.proxy.passthrough import forward
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import (
    RESERVED_METADATA,
    forwarded_request_headers,
    forwarded_response_headers,
)
from sseproxy.s3.operations import Operation
from sseproxy.s3.request import encode_key
from sseproxy.s3.xml import Entry, Listing
from sseproxy.store.objects import StoreResponse

log = logging.getLogger("sseproxy")

_LIMIT_BYTES = 64 * 1024 * 1024
# What a metadata listing has and no other; for a client that did not ask for it.
_METADATA_ELEMENTS = ("UserMetadata", "UserTags", "Internal")
# So many looks are cheaper than a listing with metadata, and so is a quarter of a page.
_FEW_LOOKS = 32


async def list_objects(exchange: Exchange) -> web.StreamResponse:
    """ListObjects, ListObjectsV2 and ListObjectVersions.

    The store has to allow the client's own listing first. An anonymous one shows the store's
    own sizes and ETags: a digest of the plaintext is not for everyone.
    """
    asked_metadata = "metadata" in exchange.head.query
    if not exchange.anonymous and exchange.services.exact_listing:
        return await _exact_listing(exchange, asked_metadata=asked_metadata)
    response = await forward(exchange)
    async with response:
        if response.status != 200 or not asked_metadata:
            return await relay(exchange, response)
        body = await response.read(_LIMIT_BYTES)
    return _answer(exchange, response, Listing.parse(body), keep_metadata=True)


async def _exact_listing(exchange: Exchange, *, asked_metadata: bool) -> web.StreamResponse:
    cache, page = exchange.services.cache, _page(exchange)
    client_body = ClientBody(exchange)
    if client_body.length > SMALL_OBJECT_BYTES:
        raise S3Error(Fault.MaxMessageLengthExceeded)
    await read_whole(client_body)  # verified, and of no use to a store
    may_add = (
        exchange.services.metadata_listing
        and not asked_metadata
        and exchange.operation is Operation.ListObjectsV2
    )
    add = may_add and not cache.knows_page(page)
    while True:
        response = await _ask(exchange, add_metadata=add)
        async with response:
            if response.status != 200:
                return await relay(exchange, response)
            body = await response.read(_LIMIT_BYTES)
        try:
            listing = Listing.parse(body)
        except StoreProtocolError:
            if not add:
                raise
            # MinIO makes element names of metadata names, of which not all can be one.
            may_add = add = False
            continue
        unknown = [entry for entry in listing.entries if not _known(exchange, entry)]
        if may_add and not add and len(unknown) > max(_FEW_LOOKS, len(listing.entries) // 4):
            add = True
            continue
        break
    await _resolve_all(exchange, unknown)
    if may_add:
        cache.put_page(page)
    return _answer(exchange, response, listing, keep_metadata=asked_metadata)


def _answer(
    exchange: Exchange, response: StoreResponse, listing: Listing, *, keep_metadata: bool
) -> web.StreamResponse:
    for entry in listing.entries:
        if keep_metadata:
            entry.drop_reserved_metadata()
        else:
            entry.drop(*_METADATA_ELEMENTS)
    headers = forwarded_response_headers(response.headers)
    return exchange.answer(200, headers, listing.to_bytes())


async def _ask(exchange: Exchange, *, add_metadata: bool) -> StoreResponse:
    query = exchange.query_to_store()
    if add_metadata:
        query.append(("metadata", "true"))
    return await exchange.send("GET", forwarded_request_headers(exchange.head.headers), query=query)


def _page(exchange: Exchange) -> tuple[str, ...]:
    """What makes this request ask for this page; the order of the query does not."""
    query = sorted(exchange.query_to_store())
    return (exchange.bucket, *(text for item in query for text in item))


async def _resolve_all(exchange: Exchange, entries: list[Entry]) -> None:
    limit = asyncio.Semaphore(exchange.services.limits.listing_looks)
    try:
        async with asyncio.TaskGroup() as looks:
            for entry in entries:
                looks.create_task(_resolve(exchange.services, exchange.bucket, entry, limit))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # one failed look is the answer's own failure


def _known(exchange: Exchange, entry: Entry) -> bool:
    """Fill in what needs no request: no sealed object is that small, or it is remembered."""
    if entry.size is None or entry.size < SMALLEST_SEALED_BYTES:
        return True
    cache, version = exchange.services.cache, entry.version_id or ""
    if cache.is_plain(exchange.bucket, entry.key, version, entry.etag, entry.size):
        return True
    state = cache.listed(
        exchange.bucket, entry.key, version, entry.etag, entry.size, entry.last_modified
    )
    if state is None:
        return False
    entry.set(size=state.plain_size, etag=state.attributes.etag_text)
    return True


@dataclass(frozen=True, slots=True)
class _Seen:
    """What an entry is. sealed: None for plaintext. status, body: of a look that found nothing."""

    sealed: SealedObject | None
    status: int = 200
    body: bytes = b""


async def _resolve(services: Services, bucket: str, entry: Entry, limit: asyncio.Semaphore) -> None:
    """Learn what one entry is, as the service account, now that the store allowed the listing."""
    place = Place(services.service_credential, bucket, entry.key, entry.version_id or "")
    async with limit:
        try:
            seen = await _seen(services, place, entry)
        except (FormatError, KeyUnavailable) as error:
            # A damaged or foreign object must not hide the others: it is listed as stored.
            if isinstance(error, IntegrityError):
                services.metrics.integrity_failures.labels(error.reason).inc()
            log.warning("listing: %s/%s can't be opened: %s", bucket, encode_key(entry.key), error)
            return
    if seen.sealed is not None:
        entry.set(size=seen.sealed.plain_size, etag=seen.sealed.attributes.etag_text)
    elif seen.status in (200, 206, 416) and entry.size is not None:
        services.cache.put_plain(bucket, entry.key, place.version, entry.etag, entry.size)
    elif seen.status != 404 and not _archived(seen.body):
        raise StoreRefused(
            seen.status, "", f"the service account can't look at objects of bucket {bucket}"
        )


async def _seen(services: Services, place: Place, entry: Entry) -> _Seen:
    """From the listing's own metadata, if it has the entry's; else from a look."""
    if entry.tells_metadata and entry.size is not None:
        metadata = entry.metadata
        if RESERVED_METADATA not in metadata:
            return _Seen(None)
        headers = {
            RESERVED_METADATA: metadata[RESERVED_METADATA],
            "etag": entry.etag,
            "last-modified": _http_date(entry.last_modified),
        }
        state = open_envelope(services, place.bucket, place.key, headers, entry.size)
        if state.is_multipart or not needs_trailer(state.plain_size):
            state = await with_manifest(services, place, state)
            services.cache.put(place.bucket, place.key, place.version, state)
            return _Seen(state)
    found = await look(services, place.credential, place.bucket, place.key, place.version)
    return _Seen(found.sealed, found.status, found.body)


def _http_date(listed: str) -> str:
    """A LastModified as the header of the object has it; "" if it is none."""
    try:
        return format_datetime(datetime.fromisoformat(listed), usegmt=True)
    except ValueError:
        return ""


def _archived(body: bytes) -> bool:
    return b"<Code>InvalidObjectState</Code>" in body
