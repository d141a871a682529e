"""The plaintext of an encrypted object, from the store's answer: for reads and for copies.

A single PUT is one part and a multipart object several; a range is one run of whole segments,
through as many parts as it touches, so that the store is asked once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sseproxy.errors import IntegrityError
from sseproxy.format.header import HEADER_BYTES, Header
from sseproxy.format.layout import TRAILER_BYTES, needs_trailer, window
from sseproxy.format.manifest import PartWindow
from sseproxy.format.names import ObjectName
from sseproxy.format.segments import PartOpener, part_cipher
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import data_key, object_cipher, part_header
from sseproxy.proxy.streams import open_stream, open_whole
from sseproxy.s3.sse import CustomerKey
from sseproxy.store.objects import StoreResponse

Span = tuple[int, int] | None


def stored_range(state: SealedObject, span: Span) -> Span:
    """The stored bytes (start, stop) that hold a span of the plaintext; None for the whole object.

    span: start and stop of plain bytes. An empty one is that of the empty parts at its place.
    """
    if span is None:
        return None
    pieces = _pieces(state, span)
    first, last = pieces[0], pieces[-1]
    return (
        first.sealed_start + first.window.sealed_start,
        last.sealed_start + last.window.sealed_stop,
    )


async def open_plaintext(
    exchange: Exchange,
    response: StoreResponse,
    state: SealedObject,
    customer: CustomerKey | None,
    span: Span,
    *,
    name: ObjectName | None = None,
) -> AsyncIterator[memoryview]:
    """The plaintext of a span; the response stands at the first byte of its `stored_range`.

    name: of the object, by default the request's own target. Every header on the way is compared
    with the one it must be, and no byte is yielded before its segment is verified; ends cleanly
    only when all of the span was. A yielded view is valid until the next is asked for. Raises
    CustomerKeyMissing, CustomerKeyWrong, KeyUnavailable, IntegrityError, StoreError.
    """
    services, name = exchange.services, name or exchange.name
    cipher_of: Callable[[Header], AESGCM]
    if state.is_multipart:
        dek = await data_key(services, state, customer, name)
        cipher_of = partial(part_cipher, dek, state.envelope.data_id)
    else:
        cipher = await object_cipher(services, state, customer, name)
        cipher_of = lambda _header: cipher  # noqa: E731  (one part, one cipher)
    try:
        async for view in _opened(exchange, response, state, cipher_of, span):
            yield view
    except IntegrityError:
        if state.is_multipart:
            services.manifests.forget(state)
        raise


async def open_small(
    exchange: Exchange, response: StoreResponse, state: SealedObject, customer: CustomerKey | None
) -> bytearray:
    """The plaintext of a whole object without trailer or manifest. Raises as `open_plaintext`."""
    cipher = await object_cipher(exchange.services, state, customer, exchange.name)
    sealed = await response.read(state.sealed_size)
    header = part_header(state)
    return open_whole(sealed, header, PartOpener(cipher, header))


async def _opened(
    exchange: Exchange,
    response: StoreResponse,
    state: SealedObject,
    cipher_of: Callable[[Header], AESGCM],
    span: Span,
) -> AsyncIterator[memoryview]:
    asked = stored_range(state, span)
    place = 0 if asked is None else asked[0]
    for piece in _pieces(state, span):
        if place == piece.sealed_start:
            await _check_header(response, piece.header)
        opener = PartOpener(
            cipher_of(piece.header),
            piece.header,
            first_segment=piece.window.first_segment,
            segments=piece.window.segments,
        )
        async for view in open_stream(response, opener, piece.window, exchange.services.buffers):
            yield view
        place = piece.sealed_start + piece.window.sealed_stop
    if span is None and not state.is_multipart and needs_trailer(state.plain_size):
        # The trailer was verified with the attributes; read here, it frees the connection.
        await response.readinto(memoryview(bytearray(TRAILER_BYTES)))


def _pieces(state: SealedObject, span: Span) -> list[PartWindow]:
    start, stop = span or (0, state.plain_size)
    if not state.is_multipart:
        return [PartWindow(part_header(state), window(state.plain_size, start, stop), 0)]
    assert state.manifest is not None, "found before the object is read"
    return state.manifest.windows(start, stop)


async def _check_header(response: StoreResponse, header: Header) -> None:
    """The 64 bytes in front of segment 0 must be the ones that envelope or manifest imply."""
    stored = memoryview(bytearray(HEADER_BYTES))
    if await response.readinto(stored) < HEADER_BYTES:
        raise IntegrityError("truncated", "the stored object ends in a header")
    if bytes(stored) != header.pack():
        raise IntegrityError("header", "a stored header is not the one that the part must have")
