"""CopyObject between every pair of encryption modes.

Three ways, in order of cost: the store copies plaintext by itself; the store copies ciphertext
and the data key is wrapped anew for the new name; the data is streamed through, opened and
sealed afresh. Whatever is copied is pinned to the ETag that was looked at.
"""

from __future__ import annotations

from aiohttp import web

from sseproxy.format.envelope import Mode
from sseproxy.proxy.anonymous import refuse_encrypted
from sseproxy.proxy.body import COS_CHECKSUM
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.copy_answer import relay_copy
from sseproxy.proxy.copy_body import asked_checksum, check_size
from sseproxy.proxy.copy_rewrapped import rewrapped_copy
from sseproxy.proxy.copy_source import (
    HEADER,
    CopySource,
    SourceChanged,
    look_at_source,
    parse_copy_source,
    parse_directives,
    was_pinned,
    while_it_changes,
)
from sseproxy.proxy.copy_stream import Copy, stream_copy
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look, look
from sseproxy.proxy.passthrough import forward
from sseproxy.s3 import sse
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.sse import SseMode

_ILLEGAL = (
    "This copy request is illegal because it is trying to copy an object to itself without "
    "changing the object's metadata, storage class, website redirect location or encryption "
    "attributes."
)
_RESULT = "CopyObjectResult"


async def copy_object(exchange: Exchange) -> web.StreamResponse:
    """CopyObject: the target's mode is its own header's or bucket's, never the source's."""
    return await while_it_changes(lambda: _copy(exchange))


async def _copy(exchange: Exchange) -> web.StreamResponse:
    services, headers = exchange.services, exchange.head.headers
    source = parse_copy_source(exchange)
    secure, insecure = exchange.head.secure, services.allow_insecure_ssec
    asked = sse.parse_write(headers, secure=secure, allow_insecure_ssec=insecure)
    source_key = sse.parse_copy_source(headers, secure=secure, allow_insecure_ssec=insecure)
    directives, checksum = parse_directives(exchange), asked_checksum(exchange)
    mode = exchange.mode_of_write(asked)
    if exchange.anonymous:
        await refuse_encrypted(exchange, source.bucket, source.key, source.version)
        if mode is not SseMode.NONE:
            raise exchange.anonymous_denied()
        response = await forward(exchange, {HEADER: source.encoded})
        return await relay_copy(exchange, response, _RESULT)
    seen = await look_at_source(exchange, source, source_key)
    state = seen.sealed
    if state is not None:
        check_size(state.plain_size)
        if source.is_target(exchange) and not _changes(exchange, state, mode):
            raise S3Error(Fault.InvalidRequest, _ILLEGAL)
    replaces = await _replaces_source(exchange, source, seen)
    copy = Copy(source, seen, source_key, mode, asked.customer, directives, checksum, replaces)
    if not ("if-match" in headers or "if-none-match" in headers):
        if state is None and mode is SseMode.NONE:
            return await _store_copy(exchange, source, seen)
        if state is not None and not replaces and _can_be_rewrapped(copy, state):
            return await rewrapped_copy(exchange, copy, state)
    return await stream_copy(exchange, copy)


def _changes(exchange: Exchange, state: SealedObject, mode: SseMode) -> bool:
    """Whether a copy of an encrypted object onto itself changes anything."""
    headers = exchange.head.headers
    return (
        headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        or "x-amz-storage-class" in headers
        or "x-amz-website-redirect-location" in headers
        or any(sse.is_sse_header(name) for name in headers)
        or (state.envelope.mode is Mode.SSE_COS) != (mode is SseMode.SSE_COS)
    )


async def _replaces_source(exchange: Exchange, source: CopySource, seen: Look) -> bool:
    """The copy overwrites what it reads, so that a write in between must not be lost.

    Also where the source is named as the version `null`, which in a bucket without versions is
    the object itself.
    """
    if source.is_target(exchange):
        return True
    same_key = (source.bucket, source.key) == (exchange.bucket, exchange.key)
    if not same_key or source.version != "null":
        return False
    now = await look(exchange.services, exchange.credential, source.bucket, source.key)
    return now.headers.get("etag") == seen.headers.get("etag")


def _can_be_rewrapped(copy: Copy, state: SealedObject) -> bool:
    """Both ends are SSE-COS, so the data key can be wrapped anew without the data.

    Not where a checksum is asked for that the source does not have: it takes the plaintext.
    """
    if copy.mode is not SseMode.SSE_COS or state.envelope.mode is not Mode.SSE_COS:
        return False
    if copy.checksum is None:
        return True
    composite = state.manifest is not None and state.manifest.composite
    return not composite and set(state.attributes.checksums) - {COS_CHECKSUM} == {copy.checksum}


async def _store_copy(exchange: Exchange, source: CopySource, seen: Look) -> web.StreamResponse:
    """Plaintext to plaintext: the store's own copy, of the bytes that were looked at."""
    etag = seen.headers.get("etag")
    pin = {HEADER: source.encoded}  # as it was understood here, not as a store might
    if etag:
        pin[f"{HEADER}-if-match"] = etag
    response = await forward(exchange, pin)
    if was_pinned(exchange, response):
        response.release()
        raise SourceChanged
    return await relay_copy(exchange, response, _RESULT, seen)
