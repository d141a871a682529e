"""One kept-alive connection to the store: bytes in, bytes out, and when to stop reading.

Input lands in a small buffer of the connection's own, where heads are found, or, while a caller
waits with a view (`receive_into`), straight in that view: recv writes into the caller's memory and
nothing is copied. When neither has room the transport is paused, so a reader that does not ask
stalls the store instead of filling memory. An idle connection goes on reading, which is how its
end is noticed before it is used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from sseproxy.errors import StoreCut, StoreError, StoreProtocolError, StoreUnavailable

INPUT_BYTES = 65536

Buffer = bytes | bytearray | memoryview


class Connection(asyncio.BufferedProtocol):
    """A connection and its input; at most one task reads from it, at most one writes to it."""

    __slots__ = (
        "_deadline",
        "_drainer",
        "_ending",
        "_filled",
        "_input",
        "_input_view",
        "_loop",
        "_more_follows",
        "_on_lost",
        "_reading",
        "_start",
        "_stop",
        "_timeout_s",
        "_timer",
        "_transport",
        "_view",
        "_waiter",
        "_writable",
        "answered",
        "eof",
        "idle_since",
        "in_use",
        "lost",
        "served",
        "timed_out",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_lost: Callable[[Connection], None]
    ) -> None:
        self._loop, self._on_lost = loop, on_lost
        self._transport: asyncio.Transport | None = None
        self._input = bytearray(INPUT_BYTES)
        self._input_view = memoryview(self._input)
        self._start = self._stop = 0
        self._view: memoryview | None = None
        self._filled = 0
        self._more_follows = False
        self._waiter: asyncio.Future[None] | None = None
        self._drainer: asyncio.Future[None] | None = None
        self._reading = self._writable = True
        self._deadline: float | None = None
        self._timeout_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.timed_out = self._ending = False
        self.lost = self.eof = False
        self.in_use = True
        self.answered = False  # a byte of the current answer has arrived
        self.served = 0  # exchanges completed: above zero, it may have gone stale
        self.idle_since = 0.0

    # -- what the transport calls -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Zero, so that drain() means "the kernel has it" and a buffer may be used again. A TLS
        # transport copies while it encrypts and takes zero for "always full": there, one byte.
        limit = 0 if transport.get_extra_info("sslcontext") is None else 1
        self._transport.set_write_buffer_limits(high=limit, low=0)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._view is not None:
            return self._view[self._filled :]
        return self._input_view[self._stop :]

    def buffer_updated(self, nbytes: int) -> None:
        self.answered = True
        if self._view is not None:
            self._filled += nbytes
            if self._filled < len(self._view):
                if self._deadline is not None:
                    self._deadline = self._loop.time() + self._timeout_s
                return
            self._view = None
            if self._more_follows:
                self.pause()
        else:
            self._stop += nbytes
            if self._stop == INPUT_BYTES:
                self.pause()
            if not self.in_use:
                self.abort()  # nobody asked: whatever this is, the next answer is not to be trusted
        self.wake()

    def eof_received(self) -> None:
        self.eof = True
        if not self._writable:
            self.abort()  # a mere close would go on sending from a buffer that may be reused
        self.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.wake()
        self._wake_drainer()
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._wake_drainer()

    # -- state ------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Nothing more will arrive."""
        return self.lost or self.eof or self._ending

    @property
    def draining(self) -> bool:
        """A buffer that was written is still referred to by the transport."""
        return not self._writable and not self.lost

    @property
    def buffered_bytes(self) -> int:
        """Input that has arrived and has not been taken."""
        return self._stop - self._start

    @property
    def reusable(self) -> bool:
        """It is open, and holds no byte that an answer to come could be confused with."""
        return not self.over and self._start == self._stop and self._writable

    def failure(self) -> StoreError:
        """Why an answer did not come, as an exception to raise."""
        if self.answered:
            end = "stopped" if self.timed_out else "was cut"
            return StoreCut(f"the store's answer {end} before its end")
        if self.timed_out:
            return StoreUnavailable("the store did not answer in time")
        return StoreUnavailable("the store closed the connection without an answer")

    def abort(self) -> None:
        """End the connection at once; what was queued for the store is dropped."""
        self._ending = True
        if self._transport is not None and not self.lost:
            self._transport.abort()

    def begin(self) -> None:
        """Take the connection into use for one exchange."""
        self.in_use, self.answered = True, False

    def park(self) -> None:
        """Leave it idle, still reading so that its end is noticed."""
        self.in_use = False
        self.served += 1
        self.idle_since = self._loop.time()
        self.resume()

    # -- input ------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop reading from the socket."""
        if self._reading and self._transport is not None and not self.over:
            self._reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read from the socket again."""
        if not self._reading and self._transport is not None and not self.over:
            self._reading = True
            self._transport.resume_reading()

    def take_head(self) -> bytes | None:
        """The next response head with its empty line, or None if it is not all there yet.

        Raises StoreProtocolError for what can't become one.
        """
        self._compact()
        begin = self._input[self._start : min(self._stop, self._start + 5)]
        if not b"HTTP/".startswith(begin):
            raise StoreProtocolError("the store's answer is not HTTP")
        end = self._input.find(b"\r\n\r\n", self._start, self._stop)
        if end < 0:
            if self.buffered_bytes == INPUT_BYTES:
                raise StoreProtocolError(f"a response head of more than {INPUT_BYTES} bytes")
            return None
        head = bytes(self._input_view[self._start : end + 4])
        self._advance(end + 4 - self._start)
        return head

    def take(self, limit: int) -> bytes:
        """Up to `limit` bytes of what has arrived."""
        size = min(limit, self.buffered_bytes)
        data = bytes(self._input_view[self._start : self._start + size])
        self._advance(size)
        return data

    def take_into(self, view: memoryview) -> int:
        """Move what has arrived into the view; returns how many bytes."""
        size = min(len(view), self.buffered_bytes)
        view[:size] = self._input_view[self._start : self._start + size]
        self._advance(size)
        return size

    async def wait_input(self, timeout_s: float | None) -> None:
        """Wait for input, the end of the connection or `wake()`; a timeout ends the connection."""
        if self.over:
            return
        self._compact()
        if self._stop < INPUT_BYTES:
            self.resume()
        self._waiter = waiter = self._loop.create_future()
        if timeout_s is not None:
            self._arm(timeout_s)
        try:
            await waiter
        finally:
            self._waiter = None
            if timeout_s is not None:
                self._deadline = None

    async def receive_into(self, view: memoryview, timeout_s: float, *, follow_bytes: int) -> int:
        """Fill the view straight from the socket; fewer bytes only if the connection ends.

        timeout_s counts from the last byte; follow_bytes: how much of the body comes after this.
        """
        self._view, self._filled = view, 0
        # A tail that fits in the input buffer is cheaper to let in than to pause for.
        self._more_follows = follow_bytes > INPUT_BYTES
        try:
            await self.wait_input(timeout_s)
            return self._filled
        except BaseException:
            self.abort()
            raise
        finally:
            self._view = None  # the memory is the caller's again, however this ended

    def wake(self) -> None:
        """Let whoever waits for input look again."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _advance(self, size: int) -> None:
        self._start += size
        if self._start == self._stop:
            self._start = self._stop = 0

    def _compact(self) -> None:
        if self._start:
            size = self.buffered_bytes
            self._input_view[:size] = self._input_view[self._start : self._stop]
            self._start, self._stop = 0, size

    # -- output -----------------------------------------------------------------------------

    def write(self, *buffers: Buffer) -> None:
        """Queue bytes for the store. Drain before a buffer is changed."""
        if self._transport is None or self._transport.is_closing():
            return  # the reader of the answer finds out, and says why
        if len(buffers) == 1:
            self._transport.write(buffers[0])
        else:
            self._transport.writelines(buffers)

    async def drain(self, timeout_s: float) -> None:
        """Wait until nothing written refers to the caller's buffers any more."""
        if not self._writable and not self.lost:
            self._drainer = self._loop.create_future()
            self._arm(timeout_s)
            try:
                await self._drainer
            finally:
                self._drainer = None
                self._deadline = None
        if self.lost or self._ending:
            raise self.failure()

    def _wake_drainer(self) -> None:
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(None)

    # -- time-outs: one timer a connection, moved only when a deadline is earlier than it -------

    def _arm(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._deadline = deadline = self._loop.time() + timeout_s
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._deadline > self._loop.time():
            self._timer = self._loop.call_at(self._deadline, self._on_timer)
            return
        self.timed_out = True
        self.abort()
        self.wake()
        self._wake_drainer()
