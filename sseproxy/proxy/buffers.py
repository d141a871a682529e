"""Large buffers, borrowed for the length of a transfer and shared by the worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sseproxy.format.header import SEALED_SEGMENT_BYTES, SEGMENT_BYTES

_SEGMENTS = 8
_PLAIN_BYTES = _SEGMENTS * SEGMENT_BYTES
_SEALED_BYTES = _SEGMENTS * SEALED_SEGMENT_BYTES


class BufferPool:
    """Pairs of a plain and a sealed buffer of 8 segments (about 1 MiB together).

    keep: how many idle pairs are held for the next transfer; more are freed.
    """

    def __init__(self, keep: int = 64) -> None:
        self._keep = keep
        self._idle: list[tuple[memoryview, memoryview]] = []

    @contextmanager
    def borrow(self) -> Iterator[tuple[memoryview, memoryview]]:
        """(plain, sealed), back in the pool at the end; nobody may hold a view of them then."""
        pair = (
            self._idle.pop()
            if self._idle
            else (memoryview(bytearray(_PLAIN_BYTES)), memoryview(bytearray(_SEALED_BYTES)))
        )
        yield pair
        # Reached on success only: after a failure a transport may still hold a view of the
        # pair, and it is left to the garbage collector.
        if len(self._idle) < self._keep:
            self._idle.append(pair)
