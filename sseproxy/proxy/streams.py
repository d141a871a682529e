"""The only byte pumps: plaintext from a client sealed to the store, and opened back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from sseproxy.errors import IntegrityError
from sseproxy.format.header import HEADER_BYTES, SEALED_SEGMENT_BYTES, SEGMENT_BYTES, Header
from sseproxy.format.layout import Window, sealed_part_size
from sseproxy.format.segments import PartOpener, PartSealer
from sseproxy.proxy.buffers import BufferPool
from sseproxy.store.objects import StoreResponse


async def seal_stream(
    pieces: AsyncIterator[bytes | memoryview],
    header: Header,
    sealer: PartSealer,
    finish: Callable[[], bytes],
    buffers: BufferPool,
) -> AsyncIterator[bytes | memoryview]:
    """A part (docs/format.md section 3) from the pieces of its plaintext.

    finish: called when the plaintext has ended; verifies it all and returns the trailer. Until
    then the final segment is held back: if it raises, the store's request stays unfinished and
    the store keeps what it had. A piece must be valid, and a yielded view is, until the next is
    asked for.
    """
    yield header.pack()
    with buffers.borrow() as (plain, sealed):
        filled, left = 0, header.plain_length
        async for piece in pieces:
            rest = memoryview(piece)
            whole = not filled and len(rest) <= len(plain) and len(rest) % SEGMENT_BYTES == 0
            if whole and len(rest) < left:
                yield sealed[: sealer.seal_into(rest, sealed)]  # no copy, and not the last
                left -= len(rest)
                continue
            while rest:
                if filled == len(plain):
                    yield sealed[: sealer.seal_into(plain, sealed)]
                    filled, left = 0, left - len(plain)
                taken = min(len(rest), len(plain) - filled)
                plain[filled : filled + taken] = rest[:taken]
                filled += taken
                rest = rest[taken:]
        trailer = finish()
        yield sealed[: sealer.seal_into(plain[:filled], sealed)]
        yield trailer


def seal_whole(plain: bytes, header: Header, sealer: PartSealer) -> bytes:
    """The same for a plaintext in memory that was verified before; no trailer."""
    out = memoryview(bytearray(sealed_part_size(header.plain_length)))
    packed = header.pack()
    out[: len(packed)] = packed
    sealer.seal_into(plain, out[len(packed) :])
    return bytes(out)


def open_whole(sealed: bytes, header: Header, opener: PartOpener) -> bytearray:
    """The plaintext of a whole part in memory; header: the one that it must have.

    Raises IntegrityError.
    """
    if sealed[:HEADER_BYTES] != header.pack():
        raise IntegrityError("header", "a stored header is not the one that the part must have")
    plain = bytearray(header.plain_length)
    opener.open_into(memoryview(sealed)[HEADER_BYTES:], memoryview(plain))
    opener.finish()
    return plain


async def open_stream(
    response: StoreResponse, opener: PartOpener, window: Window, buffers: BufferPool
) -> AsyncIterator[memoryview]:
    """The plaintext of a window; the response stands at its first sealed segment.

    No byte is yielded before its segment is verified. Ends cleanly only when all of the window
    was; raises IntegrityError or StoreCut otherwise. A yielded view is valid until the next.
    """
    left, skip, due = window.sealed_stop - window.sealed_start, window.skip, window.plain_length
    with buffers.borrow() as (plain, sealed):
        # The first segment goes alone, so that the first byte leaves as early as it can.
        step = SEALED_SEGMENT_BYTES
        while left:
            wanted = min(step, left)
            if await response.readinto(sealed[:wanted]) < wanted:
                raise IntegrityError("truncated", "the stored object ends too early")
            opened = opener.open_into(sealed[:wanted], plain)
            stop = min(opened, skip + due)
            if stop > skip:
                yield plain[skip:stop]
            due -= stop - skip
            left, skip, step = left - wanted, 0, len(sealed)
        opener.finish()
