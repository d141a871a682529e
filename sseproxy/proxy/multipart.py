"""UploadPart and AbortMultipartUpload, and how a part is sealed wherever its bytes come from.

A part is encrypted as the creation of its upload decided: the envelope lies in the upload's
record, and the data key is unwrapped from it for each part. A fresh salt makes every upload of a
part another ciphertext; which of them counts is the store's to say.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import web

from sseproxy.errors import SseProxyError, StoreProtocolError
from sseproxy.format.derive import random_part_etag
from sseproxy.format.envelope import Mode, new_salt, unwrap_dek
from sseproxy.format.header import Header
from sseproxy.format.layout import SMALL_OBJECT_BYTES, sealed_part_size
from sseproxy.format.manifest import ManifestPart
from sseproxy.format.part_record import PartRecord, store_tag
from sseproxy.format.segments import PartSealer
from sseproxy.proxy.answer import relay, written_headers
from sseproxy.proxy.body import COS_CHECKSUM, ClientBody, PlainBody, held_back, read_whole
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.passthrough import forward
from sseproxy.proxy.store_error import store_error
from sseproxy.proxy.streams import seal_stream, seal_whole
from sseproxy.proxy.upload_access import check_plain_upload, customer_key_of, upload_asked_for
from sseproxy.proxy.upload_records import add_part_record, drop_records
from sseproxy.proxy.uploads import Upload
from sseproxy.s3.checksums import checksum_headers
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import forwarded_request_headers, without_conditions, without_digests
from sseproxy.s3.multipart_xml import part_number
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.secret import Secret
from sseproxy.store.objects import StoreResponse

log = logging.getLogger("sseproxy")

MAX_PART_BYTES = 5 * 1024**3


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that the store has taken.

    etag: the client's, unquoted. checksums: by algorithm. store_headers: of the store's answer.
    entry, store_etag: what completing the upload needs of it.
    """

    etag: str
    checksums: dict[str, bytes]
    store_headers: Mapping[str, str]
    entry: ManifestPart
    store_etag: str


async def upload_part(exchange: Exchange) -> web.StreamResponse:
    """UploadPart. A part of an upload that is not encrypted passes, its body verified."""
    number = part_number(exchange.head.query.get("partNumber", ""))
    upload = await upload_asked_for(exchange)
    customer = customer_key_of(exchange, upload, required=True)
    if upload.mode is SseMode.NONE:
        check_plain_upload(exchange)
        return await relay(exchange, await forward(exchange))
    body = ClientBody(exchange, also=part_digests(upload))
    if body.length > MAX_PART_BYTES:
        raise S3Error(Fault.EntityTooLarge)
    chosen = upload.record.checksum_algorithm
    sent = next(iter(body.announced - {COS_CHECKSUM}), None)
    # That of the whole object can be computed here; those of the parts are the client's to send.
    may_lack = chosen is None or not upload.record.checksum_composite
    if chosen is not None and sent != chosen and not (sent is None and may_lack):
        raise checksum_type_mismatch(chosen, sent or "null")
    headers = without_conditions(forwarded_request_headers(exchange.head.headers))
    stored = await store_part(exchange, upload, number, body, customer, headers=headers)
    answer = written_headers(exchange, stored.store_headers, stored.etag, {}, upload.mode, customer)
    answer.update(checksum_headers(stored.checksums, exchange.dialect))
    return exchange.answer(200, answer)


async def abort_multipart_upload(exchange: Exchange) -> web.StreamResponse:
    """AbortMultipartUpload: the store decides; with the upload go its records.

    They go too when the store tells a client that there is no such upload: an earlier abort may
    have been cut off before they went.
    """
    response = await forward(exchange)
    if response.status in (200, 204) or (response.status == 404 and not exchange.anonymous):
        upload_id = exchange.head.query.get("uploadId", "")
        try:
            await drop_records(exchange.services, exchange.bucket, exchange.key, upload_id)
        except SseProxyError as error:
            log.warning(
                "%s: records of an aborted upload are left behind: %s", exchange.request_id, error
            )
    return await relay(exchange, response)


def part_digests(upload: Upload) -> frozenset[str]:
    """The digests of a part's plaintext that `store_part` needs from its body."""
    if upload.mode is SseMode.NONE:
        return frozenset()
    chosen = upload.record.checksum_algorithm
    names = {COS_CHECKSUM} | ({chosen} if chosen else set())
    return frozenset(names | {"md5"} if upload.mode is SseMode.SSE_COS else names)


def checksum_type_mismatch(chosen: str | None, sent: str) -> S3Error:
    """A checksum of another algorithm than the upload was created with."""
    return S3Error(
        Fault.InvalidRequest,
        f"Checksum Type mismatch occurred, expected checksum Type: {chosen or 'null'}, "
        f"actual checksum Type: {sent}",
    )


async def store_part(
    exchange: Exchange,
    upload: Upload,
    number: int,
    body: PlainBody,
    customer: CustomerKey | None,
    *,
    headers: Mapping[str, str] | None = None,
) -> StoredPart:
    """Store one part, sealed unless the upload is not encrypted; its record is there on return.

    body: one that computes `part_digests(upload)`; at most 5 GiB. customer: checked before.
    headers: for the store; digests among them stay here. Raises S3Error for the store's refusal
    and for promises that the body doesn't keep, StoreError, KeyUnavailable, IntegrityError.
    """
    sent = without_digests(headers or {})
    if upload.mode is SseMode.NONE:
        return await _store_plain(exchange, upload, number, body, sent)
    dek = await _data_key(exchange, upload, customer)
    header = Header(number, body.length, new_salt(), has_trailer=False)
    sealer = PartSealer(dek, upload.sealed[0].data_id, header)
    size = sealed_part_size(body.length)
    data: bytes | AsyncIterator[bytes | memoryview]
    if body.length <= SMALL_OBJECT_BYTES:
        data = seal_whole(await read_whole(body), header, sealer)
    else:

        def finish() -> bytes:
            body.finish()
            return b""

        data = seal_stream(body.pieces(), header, sealer, finish, exchange.services.buffers)
    exchange.services.metrics.sealed_bytes.labels("in", upload.mode.value).inc(size)
    store_headers, store_etag = await _send(exchange, upload, number, sent, data, size)
    record = _record(exchange, upload, header, body, store_etag)
    await add_part_record(exchange.services, upload, record)
    exchange.services.metrics.plain_bytes.labels("in", upload.mode.value).inc(body.length)
    return StoredPart(
        etag=record.etag.hex(),
        checksums=_told(record),
        store_headers=store_headers,
        entry=ManifestPart(number, body.length, header.salt),
        store_etag=store_etag,
    )


async def _store_plain(
    exchange: Exchange, upload: Upload, number: int, body: PlainBody, headers: dict[str, str]
) -> StoredPart:
    """The same for an upload that is not encrypted; its parts have no records."""
    data: bytes | AsyncIterator[bytes | memoryview]
    data = held_back(body) if body.length > SMALL_OBJECT_BYTES else await read_whole(body)
    store_headers, etag = await _send(exchange, upload, number, headers, data, body.length)
    exchange.services.metrics.plain_bytes.labels("in", upload.mode.value).inc(body.length)
    entry = ManifestPart(number, body.length, bytes(16))
    return StoredPart(etag, {}, store_headers, entry, etag)


async def _send(
    exchange: Exchange,
    upload: Upload,
    number: int,
    headers: Mapping[str, str],
    data: bytes | AsyncIterator[bytes | memoryview],
    size: int,
) -> tuple[Mapping[str, str], str]:
    """The store's headers and ETag (unquoted) for a part that it has taken."""
    response: StoreResponse = await exchange.services.store.send(
        exchange.credential,
        "PUT",
        upload.bucket,
        upload.key,
        query=[("partNumber", str(number)), ("uploadId", upload.upload_id)],
        headers=headers,
        body=data,
        content_length=size,
    )
    async with response:
        answer = await response.read()
    if response.status != 200:
        raise store_error(response.status, answer)
    etag = response.headers.get("etag", "").strip('"')
    if not etag:
        raise StoreProtocolError("the store took a part and gave it no ETag")
    return response.headers, etag


async def _data_key(exchange: Exchange, upload: Upload, customer: CustomerKey | None) -> Secret:
    envelope, attributes = upload.sealed
    upper = await exchange.services.keymaster.upper_key_for_read(envelope, attributes, customer)
    assert attributes.commitment is not None, "every envelope has one"
    return unwrap_dek(envelope, upper, upload.record.name, attributes.commitment)


def _record(
    exchange: Exchange, upload: Upload, header: Header, body: PlainBody, store_etag: str
) -> PartRecord:
    """What is known of a part, now that its body has been read and verified."""
    envelope, digests = upload.sealed[0], body.digests
    if envelope.mode is Mode.SSE_COS:
        etag = digests["md5"]
    else:
        etag_key = exchange.services.keys.for_reading().etag_key
        etag = random_part_etag(etag_key, envelope.data_id, header.salt)
    algorithm = upload.record.checksum_algorithm
    if algorithm is None:
        algorithm = next((name for name in body.checksums() if name != COS_CHECKSUM), None)
    return PartRecord(
        number=header.part_number,
        store_tag=store_tag(store_etag),
        plain_size=header.plain_length,
        etag=etag,
        salt=header.salt,
        crc64ecma=digests[COS_CHECKSUM],
        checksum_algorithm=algorithm,
        checksum=b"" if algorithm is None else digests[algorithm],
    )


def _told(record: PartRecord) -> dict[str, bytes]:
    """The checksums of a part that its uploader is told."""
    told = {COS_CHECKSUM: record.crc64ecma}
    if record.checksum_algorithm is not None:
        told[record.checksum_algorithm] = record.checksum
    return told
