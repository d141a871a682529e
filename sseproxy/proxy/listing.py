"""Listings with the sizes and ETags that HEAD gives, for every encrypted entry.

What an entry is comes from, in this order: the attribute cache; the metadata listing of a store
that has one; a look at the object. A metadata listing costs such a store more than a plain one,
so it is asked for only where the page is not known from before.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

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
from sseproxy.s3.listing_pieces import ListingPieces
from sseproxy.s3.operations import Operation
from sseproxy.s3.request import encode_key
from sseproxy.s3.xml import Entry, Listing
from sseproxy.store.objects import StoreResponse

log = logging.getLogger("sseproxy")

_PAGE_PLACE = "continuation-token"
_LIMIT_BYTES = 64 * 1024 * 1024
# What a metadata listing has and no other; for a client that did not ask for it.
_METADATA_ELEMENTS = ("UserMetadata", "UserTags", "Internal")
_DAY_CHARS, _SECONDS_CHARS = len("2026-01-01"), len("2026-01-01T00:00:00")
_TIME = re.compile(r"T\d\d:\d\d:\d\d")
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
        remembered = None if add or asked_metadata else _Remembered.find(exchange, body)
        try:
            listing = Listing.parse(body if remembered is None else remembered.unknown)
        except StoreProtocolError:
            if not add:
                raise
            # MinIO makes element names of metadata names, of which not all can be one.
            may_add = add = False
            continue
        unknown = [entry for entry in listing.entries if not _known(exchange, entry)]
        count = len(listing.entries if remembered is None else remembered.shown)
        if may_add and not add and len(unknown) > max(_FEW_LOOKS, count // 4):
            add = True
            continue
        break
    unsettled = await _resolve_all(exchange, unknown)
    if may_add:
        cache.put_page(page)
    if remembered is None:
        return _answer(exchange, response, listing, keep_metadata=asked_metadata)
    _drop_metadata(listing)
    settled = [entry not in unsettled for entry in listing.entries]
    return _respond(exchange, response, remembered.completed(listing.to_bytes(), settled))


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A listing of the store, of which some entries were answered before.

    pieces: the store's; shown: by entry what the client gets, None where it is not known.
    """

    exchange: Exchange
    pieces: ListingPieces
    shown: list[bytes | None]

    @classmethod
    def find(cls, exchange: Exchange, body: bytes) -> _Remembered | None:
        """None for a listing that can't be cut into entries: all of it has to be parsed."""
        pieces = ListingPieces.cut(body)
        if pieces is None:
            return None
        listed = exchange.services.listed
        shown = listed.find(exchange.bucket, pieces.url_encoded, pieces.entries)
        return cls(exchange, pieces, shown)

    @property
    def unknown(self) -> bytes:
        """The listing with those entries only that are not known."""
        both = zip(self.pieces.entries, self.shown, strict=True)
        return self.pieces.joined(stored for stored, shown in both if shown is None)

    def completed(self, resolved: bytes, settled: list[bool]) -> bytes:
        """The whole answer. resolved: `unknown`, with what clients get; settled: by its entries.

        What is not settled, as a damaged object, is asked for again the next time.
        """
        if None not in self.shown:
            return self.pieces.joined(shown for shown in self.shown if shown is not None)
        fresh = ListingPieces.cut(resolved)
        if fresh is None or len(fresh.entries) != len(settled):
            raise StoreProtocolError("the store's listing can't be taken apart")
        services, bucket = self.exchange.services, self.exchange.bucket
        resolutions = zip(fresh.entries, settled, strict=True)
        whole = []
        for stored, shown in zip(self.pieces.entries, self.shown, strict=True):
            if shown is None:
                shown, keep = next(resolutions)
                if keep:
                    services.listed.put(bucket, self.pieces.url_encoded, stored, shown)
            whole.append(shown)
        return self.pieces.joined(whole)


def _answer(
    exchange: Exchange, response: StoreResponse, listing: Listing, *, keep_metadata: bool
) -> web.StreamResponse:
    if keep_metadata:
        for entry in listing.entries:
            entry.drop_reserved_metadata()
    else:
        _drop_metadata(listing)
    return _respond(exchange, response, listing.to_bytes())


def _drop_metadata(listing: Listing) -> None:
    for entry in listing.entries:
        entry.drop(*_METADATA_ELEMENTS)


def _respond(exchange: Exchange, response: StoreResponse, body: bytes) -> web.StreamResponse:
    return exchange.answer(200, forwarded_response_headers(response.headers), body)


async def _ask(exchange: Exchange, *, add_metadata: bool) -> StoreResponse:
    query = exchange.query_to_store()
    if add_metadata:
        query.append(("metadata", "true"))
    return await exchange.send("GET", forwarded_request_headers(exchange.head.headers), query=query)


def _page(exchange: Exchange) -> tuple[str, ...]:
    """What makes this request ask for this page; the order of the query does not."""
    query = sorted(exchange.query_to_store())
    items = ((name, _place(value) if name == _PAGE_PLACE else value) for name, value in query)
    return (exchange.bucket, *(text for item in items for text in item))


def _place(token: str) -> str:
    """A continuation token without the id of a listing under way, which MinIO hides in it."""
    try:
        text = base64.b64decode(token, validate=True)
    except ValueError:
        return token
    return text.partition(b"[minio_cache:")[0].hex()


async def _resolve_all(exchange: Exchange, entries: list[Entry]) -> set[Entry]:
    """Fill in what the entries are; those of which that could not be learnt."""
    services, bucket = exchange.services, exchange.bucket
    unsettled = set()
    # What the listing itself tells needs no waiting, and no task.
    rest = []
    for entry in entries:
        place = Place(services.service_credential, bucket, entry.key, entry.version_id or "")
        try:
            seen = _told(services, place, entry)
        except (FormatError, KeyUnavailable) as error:
            _report(services, place, error)
            unsettled.add(entry)
            continue
        if seen is None:
            rest.append((place, entry))
        else:
            _fill_in(services, place, entry, seen)
    limit = asyncio.Semaphore(services.limits.listing_looks)
    try:
        async with asyncio.TaskGroup() as looks:
            tasks = [
                (entry, looks.create_task(_resolve(services, place, entry, limit)))
                for place, entry in rest
            ]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # one failed look is the answer's own failure
    return unsettled | {entry for entry, task in tasks if not task.result()}


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


async def _resolve(
    services: Services, place: Place, entry: Entry, limit: asyncio.Semaphore
) -> bool:
    """Learn what one entry is, as the service account, now that the store allowed the listing.

    False if that failed: the entry stays as it is stored.
    """
    async with limit:
        try:
            seen = await _looked_up(services, place, entry)
        except (FormatError, KeyUnavailable) as error:
            _report(services, place, error)
            return False
    return _fill_in(services, place, entry, seen)


def _report(services: Services, place: Place, error: Exception) -> None:
    """A damaged or foreign object must not hide the others: it is listed as stored."""
    if isinstance(error, IntegrityError):
        services.metrics.integrity_failures.labels(error.reason).inc()
    where = f"{place.bucket}/{encode_key(place.key)}"
    log.warning("listing: %s can't be opened: %s", where, error)


def _fill_in(services: Services, place: Place, entry: Entry, seen: _Seen) -> bool:
    """Put in what was seen, or remember that it is plaintext; False if it was not there."""
    if seen.sealed is not None:
        entry.set(size=seen.sealed.plain_size, etag=seen.sealed.attributes.etag_text)
        return True
    if seen.status in (200, 206, 416) and entry.size is not None:
        services.cache.put_plain(place.bucket, place.key, place.version, entry.etag, entry.size)
        return True
    if seen.status != 404 and not _archived(seen.body):
        raise StoreRefused(
            seen.status, "", f"the service account can't look at objects of bucket {place.bucket}"
        )
    return False


def _told(services: Services, place: Place, entry: Entry) -> _Seen | None:
    """What the listing's own metadata says; None if it has none, or there is more to know."""
    if not entry.tells_metadata or entry.size is None:
        return None
    if RESERVED_METADATA not in entry.metadata:
        return _Seen(None)
    state = _described(services, place, entry, entry.size)
    if state.is_multipart or needs_trailer(state.plain_size):
        return None
    services.cache.put(place.bucket, place.key, place.version, state)
    return _Seen(state)


async def _looked_up(services: Services, place: Place, entry: Entry) -> _Seen:
    """A multipart object from the listing's metadata and its manifest; others from a look."""
    if entry.tells_metadata and entry.size is not None:
        state = _described(services, place, entry, entry.size)
        if state.is_multipart:
            state = await with_manifest(services, place, state)
            services.cache.put(place.bucket, place.key, place.version, state)
            return _Seen(state)
    found = await look(services, place.credential, place.bucket, place.key, place.version)
    return _Seen(found.sealed, found.status, found.body)


def _described(services: Services, place: Place, entry: Entry, size: int) -> SealedObject:
    headers = {
        RESERVED_METADATA: entry.metadata[RESERVED_METADATA],
        "etag": entry.etag,
        "last-modified": _http_date(entry.last_modified),
    }
    return open_envelope(services, place.bucket, place.key, headers, size)


def _http_date(listed: str) -> str:
    """A LastModified as the header of the object has it; "" if it is none."""
    day, time = listed[:_DAY_CHARS], listed[_DAY_CHARS:_SECONDS_CHARS]
    try:
        return f"{_http_day(day)} {time[1:]} GMT" if _TIME.fullmatch(time) else ""
    except ValueError:
        return ""


# The objects of a listing are often of few days.
@lru_cache(maxsize=1024)
def _http_day(day: str) -> str:
    return format_datetime(datetime.fromisoformat(day).replace(tzinfo=UTC), usegmt=True)[:16]


def _archived(body: bytes) -> bool:
    return b"<Code>InvalidObjectState</Code>" in body
