"""Writes whose length is known only at their end, as the file of a form.

Up to one part is held in memory and stored by a single PUT, once all of it is verified. What is
longer goes to the store in parts of an upload of our own, which is completed only then.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from sseproxy.errors import SseProxyError
from sseproxy.format.derive import random_etag
from sseproxy.format.layout import SMALL_OBJECT_BYTES
from sseproxy.proxy.body import COS_CHECKSUM, PlainBody
from sseproxy.proxy.complete import FinishedPart, finish_upload
from sseproxy.proxy.completed import Finished
from sseproxy.proxy.create_upload import abandon_upload, start_upload
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.multipart import part_digests, store_part
from sseproxy.proxy.put import MAX_SINGLE_PUT_BYTES, SealedWriter
from sseproxy.proxy.upload_records import drop_records
from sseproxy.proxy.uploads import Upload
from sseproxy.s3.checksums import BodyDigests, Expected, checksum_headers
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import without_conditions, without_digests
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.store.objects import StoreResponse

log = logging.getLogger("sseproxy")

PART_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
_CONDITIONS = ("if-match", "if-none-match")


class Refusal(Exception):
    """The store's error answer, unread: to be relayed as it is."""

    def __init__(self, response: StoreResponse) -> None:
        super().__init__(f"the store answered {response.status}")
        self.response = response


@dataclass(frozen=True, slots=True)
class UnsizedWrite:
    """What is to be written: mode, customer key, and headers for the store's PUT.

    body: a PlainBody whose length is known only after `finish`.
    """

    exchange: Exchange
    mode: SseMode
    customer: CustomerKey | None
    headers: Mapping[str, str]
    body: PlainBody


@dataclass(frozen=True, slots=True)
class Written:
    """A finished write: the store's headers, and the client's ETag (unquoted)."""

    headers: Mapping[str, str]
    etag: str


async def store_unsized(write: UnsizedWrite) -> Written:
    """Store a body to its end, all of it verified before anything can be seen.

    Raises Refusal, S3Error: EntityTooLarge above 5 GiB, what the body raises.
    """
    source = _Source(write.body.pieces())
    data = await source.take(SMALL_OBJECT_BYTES)
    if len(data) < SMALL_OBJECT_BYTES:
        return await _put(write, data)
    async with write.exchange.services.unsized_slots:
        data += await source.take(PART_BYTES - len(data))
        if len(data) < PART_BYTES:
            return await _put(write, data)
        return await _put_in_parts(write, data, source)


class _Source:
    """Pieces of any size as pieces of the size that is asked for."""

    def __init__(self, pieces: AsyncIterator[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._rest: bytes | memoryview = b""

    async def take(self, size: int) -> bytearray:
        """The next `size` bytes, fewer only at the end."""
        taken = bytearray(self._rest[:size])
        self._rest = self._rest[size:]
        while len(taken) < size:
            try:
                piece = await anext(self._pieces)
            except StopAsyncIteration:
                break
            wanted = size - len(taken)
            taken += piece[:wanted]
            self._rest = piece[wanted:]
        return taken


class _Verified:
    """A body that has been read to its end and verified; a PlainBody."""

    def __init__(self, data: bytearray, body: PlainBody) -> None:
        self._data, self._body = data, body
        self.length = len(data)
        self.digests = body.digests

    async def pieces(self) -> AsyncIterator[bytes | memoryview]:
        yield memoryview(self._data)

    def finish(self) -> None:
        pass

    def checksums(self) -> dict[str, bytes]:
        return self._body.checksums()


class _Part:
    """One part of a body, with the digests that its record needs; a PlainBody."""

    def __init__(self, data: bytearray, upload: Upload) -> None:
        self._data = memoryview(data)
        self._digests = BodyDigests(Expected(), also=part_digests(upload))
        self.length = len(data)
        self.digests: Mapping[str, bytes] = {}

    async def pieces(self) -> AsyncIterator[bytes | memoryview]:
        for start in range(0, self.length, _PIECE_BYTES):
            piece = self._data[start : start + _PIECE_BYTES]
            self._digests.update(piece)
            yield piece

    def finish(self) -> None:
        self.digests = self._digests.finish()

    def checksums(self) -> dict[str, bytes]:
        return {COS_CHECKSUM: self.digests[COS_CHECKSUM]}


async def _put(write: UnsizedWrite, data: bytearray) -> Written:
    """All of it in one PUT."""
    exchange, mode, body = write.exchange, write.mode, write.body
    body.finish()
    bare = exchange.services.store_limits.is_bare_folder(exchange.key, len(data))
    if mode is SseMode.NONE or bare:
        # The store keeps what the client wants kept of its digests.
        promised = checksum_headers(body.checksums(), Dialect.S3)
        headers = without_digests(write.headers) | promised
        response = await exchange.send("PUT", headers, query=[], body=bytes(data))
        store_headers = await _accepted(response)
        etag = store_headers.get("etag", "").strip('"')
    else:
        size = len(data)
        writer = await SealedWriter.prepare(exchange, exchange.name, mode, write.customer, size)
        headers = without_digests(write.headers)
        response = await writer.store(exchange, headers, _Verified(data, body))
        store_headers = await _accepted(response)
        exchange.mode = mode
        etag = writer.etag_text(body.digests)
    exchange.services.metrics.plain_bytes.labels("in", exchange.mode.value).inc(len(data))
    return Written(store_headers, etag)


async def _accepted(response: StoreResponse) -> dict[str, str]:
    """The headers of a success. Raises Refusal."""
    if response.status >= 300:
        raise Refusal(response)
    async with response:
        await response.read()
    return response.headers


async def _put_in_parts(write: UnsizedWrite, data: bytearray, source: _Source) -> Written:
    """An upload of our own. data: its first part."""
    exchange = write.exchange
    headers = without_conditions(without_digests(write.headers))
    upload, _ = await start_upload(exchange, headers, write.mode, write.customer, None)
    exchange.mode = write.mode
    try:
        finished = await _fill(write, upload, data, source)
    except BaseException:
        await abandon_upload(exchange, upload.upload_id)
        raise
    await _forget(exchange, upload)
    etag = finished.store_etag if write.mode is SseMode.NONE else finished.etag.hex()
    return Written(finished.headers, etag)


async def _fill(write: UnsizedWrite, upload: Upload, data: bytearray, source: _Source) -> Finished:
    exchange, body = write.exchange, write.body
    parts: list[FinishedPart] = []
    while data:
        part = _Part(data, upload)
        stored = await store_part(exchange, upload, len(parts) + 1, part, write.customer)
        parts.append(FinishedPart(stored.entry, stored.store_etag))
        data = await source.take(PART_BYTES)
        if body.length > MAX_SINGLE_PUT_BYTES:
            raise S3Error(Fault.EntityTooLarge, MaxSizeAllowed=str(MAX_SINGLE_PUT_BYTES))
    body.finish()
    pinned = {name: write.headers[name] for name in _CONDITIONS if name in write.headers}
    return await finish_upload(
        exchange,
        upload,
        parts,
        etag=_etag(exchange, upload, body),
        checksums=body.checksums(),
        one_piece=True,
        headers=pinned,
    )


def _etag(exchange: Exchange, upload: Upload, body: PlainBody) -> bytes:
    """What a single PUT of the body would have; not asked of an object that is not encrypted."""
    if upload.mode is SseMode.NONE:
        return b""
    if upload.mode is SseMode.SSE_COS:
        return body.digests["md5"]
    data_id = upload.sealed[0].data_id
    return random_etag(exchange.services.keys.for_reading().etag_key, data_id)


async def _forget(exchange: Exchange, upload: Upload) -> None:
    """No client knows of the upload: its record, too, has served its purpose."""
    try:
        await drop_records(exchange.services, upload.bucket, upload.key, upload.upload_id)
    except SseProxyError as error:
        log.warning("%s: an upload's record is left behind: %s", exchange.request_id, error)
