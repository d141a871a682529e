"""The rest of a large body, read straight from the socket into the caller's memory.

aiohttp's parser makes an object of every piece that arrives, copies it once more, and starts and
stops the socket for it; beside AES-GCM that costs more than everything else. So once the head of a
request is known, and with it the length of its body, the connection is given another protocol
until the last byte of the body is there, and then back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import StreamReader

if TYPE_CHECKING:
    from sseproxy.proxy.server import S3RequestHandler

_DISCARD_BYTES = 64 * 1024


class BodyIntake(asyncio.BufferedProtocol):
    """Takes a connection over from its handler for what `content` has not got yet of a body.

    first: what had arrived before; remaining: bytes still to come. Never reads beyond the body.
    At its end, or after `discard` has read that far, the connection is the handler's again.
    """

    def __init__(self, handler: S3RequestHandler, content: StreamReader, length: int) -> None:
        if handler.transport is None:
            raise ConnectionResetError("the client is gone")
        self._handler, self._content = handler, content
        self._transport = handler.transport
        self._loop = asyncio.get_running_loop()
        self._view: memoryview | None = None
        self._filled = 0
        self._waiter: asyncio.Future[None] | None = None
        self._lost = self._discarding = False
        first = bytearray()
        while data := content.read_nowait():
            first += data
        self.first = bytes(first)
        self.remaining = length - len(first)
        if self.remaining > 0:
            self._transport.pause_reading()
            self._transport.set_protocol(self)

    async def fill(self, view: memoryview, idle_s: float) -> None:
        """Fill the view, which is no longer than what remains.

        Raises ConnectionResetError if the client ends the connection before, TimeoutError if
        nothing arrives for `idle_s` seconds.
        """
        self._view, self._filled = view, 0
        try:
            if not self._lost:
                self._transport.resume_reading()
            while self._view is not None:
                if self._lost:
                    raise ConnectionResetError("the client ended the connection in its body")
                await self._progress(idle_s)
        finally:
            self._view = None  # the memory is the caller's again, however this ended

    async def _progress(self, idle_s: float) -> None:
        before = self._filled
        self._waiter = self._loop.create_future()
        try:
            async with asyncio.timeout(idle_s):
                await self._waiter
        except TimeoutError:
            if self._filled == before:
                raise
        finally:
            self._waiter = None

    def discard(self) -> None:
        """Read what remains and throw it away, so that the client hears the answer out."""
        if self.remaining > 0 and not self._lost:
            self._discarding = True
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- what the transport calls -----------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._view is not None:
            return self._view[self._filled :]
        return memoryview(bytearray(min(self.remaining, _DISCARD_BYTES)))

    def buffer_updated(self, nbytes: int) -> None:
        self.remaining -= nbytes
        if self._view is not None:
            self._filled += nbytes
            if self._filled < len(self._view):
                return
            self._view = None
        if self.remaining == 0:
            self._transport.pause_reading()
            self._transport.set_protocol(self._handler)
            self._handler.body_taken(self._content)
        elif not self._discarding:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._handler.connection_lost(exc)
        self._wake()

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()
