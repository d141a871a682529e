"""CompleteMultipartUpload: the manifest first, then the object, then the tidying up.

Killed between any two steps, the upload can be completed again: a manifest that names no object
is garbage, and an object never exists without its manifest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from sseproxy.errors import SseProxyError
from sseproxy.format.derive import composite_etag
from sseproxy.format.manifest import Manifest, ManifestPart
from sseproxy.format.names import composite_of
from sseproxy.proxy.answer import relay, sse_headers, written_headers
from sseproxy.proxy.body import COS_CHECKSUM, ClientBody, read_whole
from sseproxy.proxy.completed import Finished, completed_before, is_of_list
from sseproxy.proxy.completion import (
    Completion,
    check_promises,
    choose_parts,
    object_checksums,
    parse_promises,
)
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.parts import KnownPart, known_parts
from sseproxy.proxy.passthrough import forward
from sseproxy.proxy.pinning import pinned_write
from sseproxy.proxy.store_error import store_error, success_of
from sseproxy.proxy.upload_access import check_plain_upload, customer_key_of, upload_asked_for
from sseproxy.proxy.upload_records import drop_part_records
from sseproxy.proxy.uploads import Upload
from sseproxy.s3.checksums import checksum_headers
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import (
    forwarded_request_headers,
    forwarded_response_headers,
    without_conditions,
    without_digests,
)
from sseproxy.s3.multipart_checksums import header_value, type_name, xml_element
from sseproxy.s3.multipart_xml import complete_request, complete_result, parse_complete
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.s3.xml import children, serialise
from sseproxy.store.answers import text

log = logging.getLogger("sseproxy")

# 10,000 parts with an ETag and the largest checksum, some of it as character references.
_LIMIT_BYTES = 8 * 1024 * 1024
# How often a part may be uploaded again between our look at the list and the store's.
_ATTEMPTS = 4
_OF_THE_BODY = ("content-type", "content-encoding", "x-amz-mp-object-size")


@dataclass(frozen=True, slots=True)
class FinishedPart:
    """A part as completing needs it: its entry in the manifest, and the store's ETag of it."""

    entry: ManifestPart
    store_etag: str


async def complete_multipart_upload(exchange: Exchange) -> web.StreamResponse:
    """CompleteMultipartUpload. One of an upload that is not encrypted passes.

    Repeated after a lost answer, it succeeds if the object is still the one it made.
    """
    upload = await upload_asked_for(exchange)
    chosen = upload.record.checksum_algorithm
    customer = customer_key_of(exchange, upload, required=chosen is not None)
    if upload.mode is SseMode.NONE:
        return await _complete_plain(exchange)
    completion = await _read_request(exchange, upload)
    try:
        finished = await _complete(exchange, upload, completion)
    except S3Error as error:
        # Completed meanwhile, it may have lost its part records and not yet be gone.
        if error.fault not in (Fault.NoSuchUpload, Fault.InvalidPart):
            raise
        before = await completed_before(exchange, upload, completion)
        if before is None:
            raise
        finished = before
    return _answer(exchange, upload, customer, finished, len(completion.parts))


async def _complete_plain(exchange: Exchange) -> web.StreamResponse:
    check_plain_upload(exchange)
    response = await forward(exchange, await pinned_write(exchange))
    exchange.services.cache.drop(exchange.bucket, exchange.key)
    if response.status != 200:
        return await relay(exchange, response)
    async with response:
        document = success_of(await response.read(), "CompleteMultipartUploadResult")
    # Where the client found the object, which is not where the store has it.
    for location in children(document, "Location"):
        location.text = _location(exchange)
    headers = forwarded_response_headers(response.headers)
    return exchange.answer(200, headers, serialise(document))


async def _read_request(exchange: Exchange, upload: Upload) -> Completion:
    body = ClientBody(exchange)
    if body.length > _LIMIT_BYTES:
        raise S3Error(Fault.MaxMessageLengthExceeded)
    parts = parse_complete(await read_whole(body))
    return parse_promises(exchange.head.headers, parts, upload.record)


async def _complete(exchange: Exchange, upload: Upload, completion: Completion) -> Finished:
    """Match, verify, complete; once more where the store's list has changed meanwhile."""
    numbers = [part.number for part in completion.parts]
    for attempt in range(_ATTEMPTS):
        known = await known_parts(exchange, upload, numbers[0], numbers[-1])
        try:
            chosen = choose_parts(completion, known, upload.record)
            records = [part.record for part in chosen]
            checksums = object_checksums(records, upload.record)
            check_promises(completion, sum(record.plain_size for record in records), checksums)
        except S3Error:
            if exchange.listed_by_proxy:
                # The store did not tell this client of the parts, so neither does the proxy.
                raise S3Error(Fault.AccessDenied) from None
            raise
        headers = without_digests(forwarded_request_headers(exchange.head.headers))
        headers = without_conditions(headers) | await pinned_write(exchange)
        try:
            finished = await finish_upload(
                exchange,
                upload,
                [_finished_part(part, upload) for part in chosen],
                etag=composite_etag([record.etag for record in records]),
                checksums=checksums,
                composite=upload.record.checksum_composite,
                part_checksum=upload.record.checksum_algorithm,
                headers={n: v for n, v in headers.items() if n not in _OF_THE_BODY},
            )
        except S3Error as error:
            if error.fault is not Fault.InvalidPart or attempt == _ATTEMPTS - 1:
                raise
            continue
        if await is_of_list(exchange, upload, finished, [part.store_etag for part in chosen]):
            return finished
        raise S3Error(Fault.NoSuchUpload)
    raise AssertionError("the last attempt returns or raises")


def _finished_part(part: KnownPart, upload: Upload) -> FinishedPart:
    record = part.record
    # What a part was sent with is only shown where the upload was created for it.
    checksum = record.checksum if upload.record.checksum_algorithm is not None else b""
    entry = ManifestPart(record.number, record.plain_size, record.salt, checksum)
    return FinishedPart(entry, part.store_etag)


async def finish_upload(
    exchange: Exchange,
    upload: Upload,
    parts: Sequence[FinishedPart],
    *,
    etag: bytes,
    checksums: Mapping[str, bytes],
    composite: bool = False,
    one_piece: bool = False,
    part_checksum: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Finished:
    """Write the manifest, complete the upload at the store, drop the part records.

    etag, checksums, composite, one_piece, part_checksum: see Manifest. headers: for the store,
    the conditions in its terms. Raises S3Error for the store's refusal, whatever status it came
    with, KeyringStale, StoreError.
    """
    services = exchange.services
    store_etags = [part.store_etag for part in parts]
    if upload.mode is not SseMode.NONE:
        envelope = upload.sealed[0]
        manifest = Manifest(
            name=upload.record.name,
            data_id=envelope.data_id,
            etag=etag,
            checksums=checksums,
            composite=composite,
            one_piece=one_piece,
            part_checksum=part_checksum,
            parts=tuple(part.entry for part in parts),
        )
        await services.manifests.write(
            manifest, upload.manifest_id, composite_of(store_etags), envelope.data_ak_version
        )
    body = complete_request((part.entry.number, part.store_etag) for part in parts)
    response = await services.store.send(
        exchange.credential,
        "POST",
        upload.bucket,
        upload.key,
        query=[("uploadId", upload.upload_id)],
        headers={**(headers or {}), "content-type": "application/xml"},
        body=body,
    )
    async with response:
        answer = await response.read()
    if response.status != 200:
        raise store_error(response.status, answer)
    result = success_of(answer, "CompleteMultipartUploadResult")
    services.cache.drop(upload.bucket, upload.key)
    await _tidy(exchange, upload)
    store_etag = text(result, "ETag").strip('"')
    return Finished(response.headers, etag, checksums, store_etag)


async def _tidy(exchange: Exchange, upload: Upload) -> None:
    """The object is there: what is left behind now costs space and nothing else."""
    if upload.mode is SseMode.NONE:
        return
    try:
        await drop_part_records(exchange.services, upload)
    except SseProxyError as error:
        log.warning(
            "%s: part records of a completed upload are left behind: %s",
            exchange.request_id,
            error,
        )


def _answer(
    exchange: Exchange,
    upload: Upload,
    customer: CustomerKey | None,
    finished: Finished,
    count: int,
) -> web.StreamResponse:
    record = upload.record
    etag = f"{finished.etag[:16].hex()}-{count}"
    headers = written_headers(exchange, finished.headers, etag, {}, upload.mode, customer)
    del headers["etag"]  # S3's answer has it in the document
    if upload.mode is SseMode.SSE_C and exchange.dialect is Dialect.S3:
        # S3 says nothing of a customer key here.
        for name in sse_headers(exchange, upload.mode, customer):
            del headers[name]
    headers["content-type"] = "application/xml"
    extra = {}
    if exchange.dialect is Dialect.COS:
        own = {COS_CHECKSUM: finished.checksums[COS_CHECKSUM]}
        headers.update(checksum_headers(own, exchange.dialect))
    elif record.checksum_algorithm is not None:
        algorithm, parts = record.checksum_algorithm, count if record.checksum_composite else None
        digest = finished.checksums[algorithm]
        extra[xml_element(algorithm)] = header_value(algorithm, digest, parts)
        extra["ChecksumType"] = type_name(record.checksum_composite)
    location = _location(exchange)
    result = complete_result(location, exchange.bucket, exchange.key, etag, extra)
    return exchange.answer(200, headers, result)


def _location(exchange: Exchange) -> str:
    """The object's URL, in the style that the client itself uses."""
    head = exchange.head
    return f"{'https' if head.secure else 'http'}://{head.host}{head.raw_path}"
