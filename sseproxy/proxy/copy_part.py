"""UploadPartCopy: an object, or a range of it, as a part of an upload in any mode."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from sseproxy.proxy.anonymous import refuse_encrypted
from sseproxy.proxy.answer import relay
from sseproxy.proxy.body import held_back
from sseproxy.proxy.copy_answer import copied, relay_copy
from sseproxy.proxy.copy_body import CopiedBody, check_size, checksum_elements
from sseproxy.proxy.copy_source import (
    HEADER,
    CopySource,
    SourceChanged,
    look_at_source,
    open_source,
    parse_copy_source,
    was_pinned,
    while_it_changes,
)
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look
from sseproxy.proxy.multipart import part_digests, store_part
from sseproxy.proxy.passthrough import forward
from sseproxy.proxy.pinning import client_size
from sseproxy.proxy.plaintext import Span
from sseproxy.proxy.policy import NEVER_ENCRYPTED
from sseproxy.proxy.upload_access import check_plain_upload, customer_key_of, upload_asked_for
from sseproxy.proxy.uploads import Upload
from sseproxy.s3 import sse
from sseproxy.s3.checksums import checksum_headers
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.multipart_xml import part_number
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import CustomerKey, SseMode

RANGE_HEADER = "x-amz-copy-source-range"
_RESULT = "CopyPartResult"
# The bound on digits keeps int() cheap; 19 are beyond any size.
_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})", re.ASCII)


def parse_copy_range(value: str | None, plain_size: int) -> Span:
    """The plain bytes that are copied, (start, stop) with stop exclusive; None for all.

    Stricter than a Range header, as S3 is. Raises S3Error (InvalidArgument).
    """
    if value is None:
        return None
    match = _RANGE.fullmatch(value)
    first, last = (int(text) for text in match.groups()) if match else (1, 0)
    if last < first:
        raise S3Error(
            Fault.InvalidArgument,
            f"The {RANGE_HEADER} value must be of the form bytes=first-last where first and last "
            "are the zero-based offsets of the first and last bytes to copy",
            ArgumentName=RANGE_HEADER,
            ArgumentValue=value,
        )
    if last >= plain_size:
        raise S3Error(
            Fault.InvalidArgument,
            f"Range specified is not valid for source object of size: {plain_size}",
            ArgumentName=RANGE_HEADER,
            ArgumentValue=value,
        )
    return first, last + 1


async def upload_part_copy(exchange: Exchange) -> web.StreamResponse:
    """UploadPartCopy: encrypted as the upload is, whatever the source; plain to plain by the store.

    A part is always sealed afresh: its place in the object is part of what it is sealed with.
    """
    return await while_it_changes(lambda: _copy(exchange))


async def _copy(exchange: Exchange) -> web.StreamResponse:
    headers, services = exchange.head.headers, exchange.services
    number = part_number(exchange.head.query.get("partNumber", ""))
    source = parse_copy_source(exchange)
    secure, insecure = exchange.head.secure, services.allow_insecure_ssec
    source_key = sse.parse_copy_source(headers, secure=secure, allow_insecure_ssec=insecure)
    if exchange.anonymous:
        await refuse_encrypted(exchange, source.bucket, source.key, source.version)
    upload, customer = await _target(exchange)
    if exchange.anonymous:
        response = await forward(exchange, {HEADER: source.encoded})
        return await relay_copy(exchange, response, _RESULT)
    seen = await look_at_source(exchange, source, source_key)
    span = parse_copy_range(headers.get(RANGE_HEADER), client_size(seen))
    check_size(client_size(seen) if span is None else span[1] - span[0])
    part = _Part(source, seen, source_key, span, number)
    if upload is not None and upload.mode is not SseMode.NONE:
        return await _sealed_part(exchange, part, upload, customer)
    if seen.sealed is not None:
        return await _opened_part(exchange, part, upload)
    pin = {HEADER: source.encoded}  # as it was understood here, not as a store might
    if "etag" in seen.headers:
        pin[f"{HEADER}-if-match"] = seen.headers["etag"]
    response = await forward(exchange, pin)
    if was_pinned(exchange, response):
        response.release()
        raise SourceChanged
    return await relay_copy(exchange, response, _RESULT, seen)


@dataclass(frozen=True, slots=True)
class _Part:
    """What is copied, and as which part. span: of the source's plaintext, None for all."""

    source: CopySource
    seen: Look
    source_key: CustomerKey | None
    span: Span
    number: int

    @asynccontextmanager
    async def body(
        self, exchange: Exchange, *, also: Collection[str] = ()
    ) -> AsyncIterator[CopiedBody]:
        """Its plaintext, to be read once. also: digests to compute."""
        response = await open_source(exchange, self.source, self.seen, self.span)
        async with response:
            yield CopiedBody(
                *(exchange, self.source, self.seen, response, self.source_key, self.span),
                names=(),
                also=also,
            )


async def _target(exchange: Exchange) -> tuple[Upload | None, CustomerKey | None]:
    """The upload and its customer key; None where the proxy stays out of the bucket."""
    if exchange.policy.passthrough:
        if any(sse.is_sse_header(n) and HEADER not in n for n in exchange.head.headers):
            raise S3Error(Fault.InvalidRequest, NEVER_ENCRYPTED)
        return None, None
    upload = await upload_asked_for(exchange)
    customer = customer_key_of(exchange, upload, required=True)
    if upload.mode is SseMode.NONE:
        check_plain_upload(exchange)
    return upload, customer


async def _sealed_part(
    exchange: Exchange, part: _Part, upload: Upload, customer: CustomerKey | None
) -> web.StreamResponse:
    async with part.body(exchange, also=part_digests(upload)) as body:
        stored = await store_part(exchange, upload, part.number, body, customer)
    return copied(
        exchange,
        stored.store_headers,
        part.seen,
        etag=stored.etag,
        mode=upload.mode,
        customer=customer,
        checksums=checksum_elements(exchange, stored.checksums, typed=False),
        root=_RESULT,
    )


async def _opened_part(
    exchange: Exchange, part: _Part, upload: Upload | None
) -> web.StreamResponse:
    """An encrypted source into an upload that is not: the store gets the plaintext.

    If the upload was created with a checksum, the store wants it with every part, ahead of the
    data: the source is read twice then.
    """
    chosen = upload.record.checksum_algorithm if upload is not None else None
    told: dict[str, bytes] = {}
    if chosen is not None:
        async with part.body(exchange, also={chosen}) as body:
            async for _ in body.pieces():
                pass
            body.finish()
        told = {chosen: body.digests[chosen]}
    async with part.body(exchange) as body:
        response = await exchange.send(
            "PUT",
            checksum_headers(told, Dialect.S3),
            query=[("partNumber", str(part.number)), *_upload_id(exchange)],
            body=held_back(body),
            content_length=body.length,
        )
    async with response:
        if response.status != 200:
            return await relay(exchange, response)
        await response.read()
    return copied(
        exchange,
        response.headers,
        part.seen,
        etag=response.headers.get("etag", "").strip('"'),
        mode=SseMode.NONE,
        customer=None,
        checksums=checksum_elements(exchange, told, typed=False),
        root=_RESULT,
    )


def _upload_id(exchange: Exchange) -> list[tuple[str, str]]:
    return [("uploadId", exchange.head.query["uploadId"])]
