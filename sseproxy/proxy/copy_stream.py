"""A copy through the proxy: the source opened, the target sealed afresh, in one stream.

The PUT is conditional wherever the copy replaces what it reads: a client's write in between wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from sseproxy.format.attributes import etag_text
from sseproxy.format.layout import SMALL_OBJECT_BYTES
from sseproxy.proxy.answer import relay
from sseproxy.proxy.body import COS_CHECKSUM, held_back, read_whole
from sseproxy.proxy.copy_answer import copied
from sseproxy.proxy.copy_body import CopiedBody, check_size, checksum_elements, source_checksums
from sseproxy.proxy.copy_source import (
    CopySource,
    Directives,
    SourceChanged,
    copied_headers,
    new_tags,
    open_source,
)
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look, sse_mode
from sseproxy.proxy.pinning import pinned_write
from sseproxy.proxy.put import SealedWriter
from sseproxy.s3.checksums import checksum_headers
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.store.objects import StoreResponse

# Whose keys the proxy manages: between them an object keeps its ETag.
MANAGED = frozenset({SseMode.SSE_COS, SseMode.SSE_KMS})
_LOST = (404, 409, 412)


@dataclass(frozen=True, slots=True)
class Copy:
    """What a CopyObject asks for, and what its source is.

    replaces_source: the target is the very object that is read.
    """

    source: CopySource
    seen: Look
    source_key: CustomerKey | None
    mode: SseMode
    target_key: CustomerKey | None
    directives: Directives
    checksum: str | None
    replaces_source: bool


@dataclass(slots=True)
class _Writer(SealedWriter):
    """Seals an object that may keep the ETag of the one it is a copy of."""

    kept_etag: bytes | None = None

    def etag_bytes(self, digests: Mapping[str, bytes]) -> bytes:
        # Not super(): a dataclass with slots is another class than the one that super() means.
        return self.kept_etag or SealedWriter.etag_bytes(self, digests)


async def stream_copy(exchange: Exchange, copy: Copy) -> web.StreamResponse:
    """Copy by reading and writing; the read is pinned to what was looked at."""
    headers = copied_headers(exchange, copy.seen, copy.directives)
    tags = await new_tags(exchange, copy.source, copy.directives)
    if tags is not None:
        headers["x-amz-tagging"] = tags
    headers |= await pinned_write(exchange)
    asks_for_absence = "if-none-match" in headers
    if copy.replaces_source:
        headers["if-match"] = copy.seen.headers["etag"]
    response = await open_source(exchange, copy.source, copy.seen, None)
    async with response:
        known = source_checksums(copy.seen, response)
        names = known.keys() if copy.checksum is None else {copy.checksum}
        kept = _kept_etag(copy)
        also = {"md5"} if copy.mode is SseMode.SSE_COS and kept is None else set()
        body = CopiedBody(
            *(exchange, copy.source, copy.seen, response, copy.source_key, None),
            names=names,
            also=also,
        )
        check_size(body.length)
        if copy.mode is SseMode.NONE:
            answer, etag = await _write_plain(exchange, headers, body, known)
        else:
            answer, etag = await _write_sealed(exchange, headers, body, copy, kept)
    async with answer:
        if copy.replaces_source and answer.status in _LOST and not asks_for_absence:
            raise SourceChanged
        if answer.status >= 300:
            return await relay(exchange, answer)
        await answer.read()
    return copied(
        exchange,
        answer.headers,
        copy.seen,
        etag=etag,
        mode=copy.mode,
        customer=copy.target_key,
        checksums=checksum_elements(exchange, body.checksums()),
    )


def _kept_etag(copy: Copy) -> bytes | None:
    state = copy.seen.sealed
    if state is None or copy.mode not in MANAGED or sse_mode(state.envelope) not in MANAGED:
        return None
    return state.attributes.etag


async def _write_sealed(
    exchange: Exchange, headers: dict[str, str], body: CopiedBody, copy: Copy, kept: bytes | None
) -> tuple[StoreResponse, str]:
    writer = await _Writer.prepare(exchange, exchange.name, copy.mode, copy.target_key, body.length)
    assert isinstance(writer, _Writer), "prepare makes one of its own class"
    writer.kept_etag = kept
    response = await writer.store(exchange, headers, body)
    return response, etag_text(writer.etag_bytes(body.digests))


async def _write_plain(
    exchange: Exchange, headers: dict[str, str], body: CopiedBody, known: Mapping[str, bytes]
) -> tuple[StoreResponse, str]:
    """Plaintext for the store, with the checksums that can be told before the body."""
    if body.length <= SMALL_OBJECT_BYTES:
        plain = await read_whole(body)
        told = body.checksums()
        response = await exchange.send(
            "PUT", headers | _checksum_header(told), query=[], body=plain
        )
    else:
        told = {name: digest for name, digest in known.items() if digest and name in body.names}
        response = await exchange.send(
            "PUT",
            headers | _checksum_header(told),
            query=[],
            body=held_back(body),
            content_length=body.length,
        )
    return response, response.headers.get("etag", "").strip('"')


def _checksum_header(checksums: Mapping[str, bytes]) -> dict[str, str]:
    """One checksum for the store to verify and keep: S3 takes no more."""
    own = {name: digest for name, digest in checksums.items() if name != COS_CHECKSUM}
    return dict(list(checksum_headers(own, Dialect.S3).items())[:1])
