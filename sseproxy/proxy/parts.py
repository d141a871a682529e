"""ListParts, and which parts of an upload there are: the store's list, told with our records.

The store alone knows which of several uploads of a part counts; a record is matched to it by a
hash of the store's ETag. What has no record was never acknowledged to a client, and is no part.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from sseproxy.errors import StoreProtocolError
from sseproxy.format.part_record import PartRecord, store_tag
from sseproxy.proxy.answer import relay
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.passthrough import forward
from sseproxy.proxy.store_error import store_error, success_of
from sseproxy.proxy.upload_access import customer_key_of, upload_asked_for
from sseproxy.proxy.upload_records import part_records
from sseproxy.proxy.uploads import Upload
from sseproxy.s3.headers import forwarded_response_headers
from sseproxy.s3.multipart_checksums import header_value, xml_element
from sseproxy.s3.multipart_xml import ListedPart, PartsPage
from sseproxy.s3.sse import SseMode
from sseproxy.store.objects import StoreCredential

# S3 gives a thousand at a time; others as many as they are asked for.
_PAGE_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class KnownPart:
    """A part that is at the store and has its record. store_etag: unquoted."""

    store_etag: str
    record: PartRecord


async def list_parts(exchange: Exchange) -> web.StreamResponse:
    """ListParts with the sizes, ETags and checksums of the plaintext.

    SSE-C: the key is needed only if the upload has a checksum, as S3 has it.
    """
    upload = await upload_asked_for(exchange)
    chosen = upload.record.checksum_algorithm
    customer_key_of(exchange, upload, required=chosen is not None)
    response = await forward(exchange)
    async with response:
        if response.status != 200 or upload.mode is SseMode.NONE:
            return await relay(exchange, response)
        body = await response.read()
    page = PartsPage(success_of(body, "ListPartsResult"))
    if page.parts:
        await _show_plain(exchange, upload, page)
    page.tell_checksum(chosen, composite=upload.record.checksum_composite)
    return exchange.answer(200, forwarded_response_headers(response.headers), page.to_bytes())


async def _show_plain(exchange: Exchange, upload: Upload, page: PartsPage) -> None:
    """Put what clients know of the parts in the place of what the store does."""
    numbers = [part.number for part in page.parts]
    records = await part_records(exchange.services, upload, min(numbers), max(numbers))
    newest: dict[int, ListedPart] = {}
    for part in page.parts:
        record = _record_of(part.etag, records.get(part.number, []))
        if record is None:
            part.hide()
            continue
        part.show(
            size=record.plain_size, etag=record.etag.hex(), checksums=_checksum_elements(record)
        )
        # SeaweedFS lists every upload of a part, in no order.
        other = newest.get(part.number, part)
        if other is not part:
            (other if part.last_modified >= other.last_modified else part).hide()
        if part.last_modified >= other.last_modified:
            newest[part.number] = part


async def known_parts(
    exchange: Exchange, upload: Upload, first: int, last: int
) -> dict[int, list[KnownPart]]:
    """The parts first..last of an encrypted upload, by number; more than one where a store lists
    every upload of a part. Raises S3Error (NoSuchUpload), IntegrityError, StoreError.

    Read in this order, a part whose upload has been answered has its record.
    """
    stored = await _stored_parts(exchange, upload, last)
    records = await part_records(exchange.services, upload, first, last)
    return {
        number: [
            KnownPart(etag, record)
            for etag in etags
            if (record := _record_of(etag, records.get(number, []))) is not None
        ]
        for number, etags in stored.items()
        if number >= first
    }


async def _stored_parts(exchange: Exchange, upload: Upload, last: int) -> dict[int, list[str]]:
    """The store's ETags of the parts up to `last`, a thousand or more with a request.

    From the first part on: MinIO answers a marker that is no part's number with no parts.
    """
    found: dict[int, list[str]] = {}
    credential, marker = exchange.credential, "0"
    while True:
        query = [
            ("uploadId", upload.upload_id),
            ("max-parts", str(_PAGE_PARTS)),
            ("part-number-marker", marker),
        ]
        status, body = await _ask(exchange, credential, upload, query)
        if status == 403 and credential is not exchange.services.service_credential:
            # One may be allowed to complete an upload and not to list it: what is learnt here
            # is for the proxy, and the store has yet to allow the client's own request.
            credential = exchange.services.service_credential
            exchange.listed_by_proxy = True
            continue
        if status != 200:
            raise store_error(status, body)
        page = PartsPage(success_of(body, "ListPartsResult"))
        for part in page.parts:
            if part.number <= last:
                found.setdefault(part.number, []).append(part.etag)
        if not page.truncated or any(part.number > last for part in page.parts):
            return found
        if page.next_marker == marker:
            raise StoreProtocolError("a list of parts that does not advance")
        marker = page.next_marker


async def _ask(
    exchange: Exchange,
    credential: StoreCredential | None,
    upload: Upload,
    query: list[tuple[str, str]],
) -> tuple[int, bytes]:
    response = await exchange.services.store.send(
        credential, "GET", upload.bucket, upload.key, query=query
    )
    async with response:
        return response.status, await response.read()


def _checksum_elements(record: PartRecord) -> dict[str, str]:
    """The checksum of a part by the name of its element in S3's documents."""
    algorithm = record.checksum_algorithm
    if algorithm is None:
        return {}
    return {xml_element(algorithm): header_value(algorithm, record.checksum)}


def _record_of(store_etag: str, records: list[PartRecord]) -> PartRecord | None:
    tag = store_tag(store_etag)
    return next((record for record in records if record.store_tag == tag), None)
