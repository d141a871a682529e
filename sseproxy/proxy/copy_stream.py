"""A copy through the proxy: the source opened, the target sealed afresh, in one stream.

The PUT is conditional wherever the copy replaces what it reads: a client's write in between wins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from aiohttp import web

from sseproxy.errors import StoreCut
from sseproxy.format.layout import SMALL_OBJECT_BYTES, window
from sseproxy.proxy.answer import relay, sse_headers
from sseproxy.proxy.body import COS_CHECKSUM, PlainBody, held_back, read_whole
from sseproxy.proxy.copy_source import CopySource, copied_headers, source_tags
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.get import opener_of, read_header
from sseproxy.proxy.lookup import Look
from sseproxy.proxy.pinning import pinned_write
from sseproxy.proxy.put import MAX_SINGLE_PUT_BYTES, SealedWriter
from sseproxy.proxy.streams import open_stream
from sseproxy.s3.checksums import BodyDigests, Expected
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA, forwarded_response_headers
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.s3.xml import copy_result
from sseproxy.store.objects import StoreResponse

_CHUNK_BYTES = 256 * 1024


async def stream_copy(
    exchange: Exchange,
    source: CopySource,
    seen: Look,
    mode: SseMode,
    target_key: CustomerKey | None,
    source_key: CustomerKey | None,
) -> web.StreamResponse:
    """Copy by reading and writing. seen: the look at the source, which the read is pinned to."""
    headers = copied_headers(exchange, seen)
    tags = await source_tags(exchange, source)
    if tags is not None:
        headers["x-amz-tagging"] = tags
    headers.update(await _condition(exchange, source, seen))
    response = await _open_source(exchange, source, seen)
    async with response:
        body = _CopiedBody(exchange, source, seen, response, source_key)
        if body.length > MAX_SINGLE_PUT_BYTES:
            raise S3Error(
                Fault.InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a "
                "copy source: 5368709120",
            )
        answer, etag = await _write(exchange, headers, body, mode, target_key)
    async with answer:
        if answer.status >= 300:
            return await relay(exchange, answer)
        await answer.read()
    out = forwarded_response_headers(answer.headers)
    out.pop("etag", None)
    out["content-type"] = "application/xml"
    if "x-amz-version-id" in seen.headers:
        out["x-amz-copy-source-version-id"] = seen.headers["x-amz-version-id"]
    out.update(sse_headers(exchange, mode, target_key))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    etag = etag or answer.headers.get("etag", "").strip('"')
    return exchange.answer(200, out, copy_result(etag, now))


async def _write(
    exchange: Exchange,
    headers: dict[str, str],
    body: PlainBody,
    mode: SseMode,
    customer: CustomerKey | None,
) -> tuple[StoreResponse, str | None]:
    """The store's answer to the PUT of the target, and its ETag where the proxy sets it."""
    if mode is not SseMode.NONE:
        writer = await SealedWriter.prepare(exchange, exchange.name, mode, customer, body.length)
        response = await writer.store(exchange, headers, body)
        return response, writer.etag_text(body.digests)
    if body.length <= SMALL_OBJECT_BYTES:
        return await exchange.send("PUT", headers, query=[], body=await read_whole(body)), None
    stream = held_back(body)
    return (
        await exchange.send("PUT", headers, query=[], body=stream, content_length=body.length),
        None,
    )


async def _condition(exchange: Exchange, source: CopySource, seen: Look) -> dict[str, str]:
    """The target's own conditions; a copy onto itself replaces only what was read."""
    pinned = await pinned_write(exchange)
    if source.is_target(exchange):
        pinned["if-match"] = seen.headers["etag"]
    return pinned


async def _open_source(exchange: Exchange, source: CopySource, seen: Look) -> StoreResponse:
    """The source's stored bytes, of the very object that was looked at."""
    etag = seen.headers.get("etag")
    response = await exchange.services.store.send(
        exchange.credential,
        "GET",
        source.bucket,
        source.key,
        query=[("versionId", source.version)] if source.version else [],
        headers={"if-match": etag} if etag else {},
    )
    encoded = seen.sealed.encoded if seen.sealed else None
    same = response.headers.get(RESERVED_METADATA) == encoded
    if response.status != 200 or not same or response.content_length is None:
        response.release()
        raise S3Error(Fault.ServiceUnavailable, "The source changed while it was copied.")
    return response


class _CopiedBody:
    """The plaintext of a source as a PlainBody; its digests are computed over what is read."""

    def __init__(
        self,
        exchange: Exchange,
        source: CopySource,
        seen: Look,
        response: StoreResponse,
        source_key: CustomerKey | None,
    ) -> None:
        self._exchange, self._source, self._sealed = exchange, source, seen.sealed
        self._response, self._key = response, source_key
        self._names = set(seen.sealed.attributes.checksums) if seen.sealed else set()
        self._names.add(COS_CHECKSUM)
        self._digests = BodyDigests(Expected(), also=self._names | {"md5"})
        self.digests: Mapping[str, bytes] = {}
        stored = response.content_length
        assert stored is not None, "checked when the source was opened"
        self.length = seen.sealed.plain_size if seen.sealed else stored

    async def pieces(self) -> AsyncIterator[bytes | memoryview]:
        pieces = self._stored_plain() if self._sealed is None else self._opened()
        async for piece in pieces:
            self._digests.update(piece)
            yield piece

    async def _stored_plain(self) -> AsyncIterator[memoryview]:
        buffer, left = memoryview(bytearray(_CHUNK_BYTES)), self.length
        while left:
            got = await self._response.readinto(buffer[: min(left, _CHUNK_BYTES)])
            if not got:
                raise StoreCut("the source of a copy ended too early")
            left -= got
            yield buffer[:got]

    async def _opened(self) -> AsyncIterator[memoryview]:
        state = self._sealed
        assert state is not None, "only called for a sealed source"
        name = self._exchange.services.name(self._source.bucket, self._source.key)
        whole = window(state.plain_size, 0, state.plain_size)
        opener = await opener_of(self._exchange, state, self._key, whole, name=name)
        await read_header(self._response, state)
        buffers = self._exchange.services.buffers
        async for view in open_stream(self._response, opener, whole, buffers):
            yield view

    def finish(self) -> None:
        self.digests = self._digests.finish()

    def checksums(self) -> dict[str, bytes]:
        return {name: self.digests[name] for name in self._names}
