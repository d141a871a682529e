"""Sending a streamed body, and knowing when to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sseproxy.errors import StoreError, StoreProtocolError
from sseproxy.store.connection import INPUT_BYTES, Buffer, Connection
from sseproxy.store.response import ResponseHead, next_head


class Upload:
    """Sends a streamed body while watching for an answer that comes before its end.

    This is the one place with a task of its own: the iterator may wait long for a client, and
    the store's refusal must not wait with it.
    """

    def __init__(
        self,
        connection: Connection,
        head: bytes,
        body: AsyncIterator[Buffer],
        length: int,
        timeout_s: float,
    ) -> None:
        self._head = head
        self._connection, self._body = connection, body
        self._unsent_bytes, self._timeout_s = length, timeout_s
        self._stopping = False

    @property
    def complete(self) -> bool:
        """Every declared byte has been sent."""
        return self._unsent_bytes == 0

    async def run(self) -> ResponseHead | None:
        """Send it all and return None, or the early answer that made the rest pointless.

        Raises what the iterator raises, ValueError if it does not keep to the declared length,
        StoreProtocolError for a success claimed before the body was sent, and StoreUnavailable.
        """
        connection = self._connection
        pump = asyncio.get_running_loop().create_task(self._pump())
        pump.add_done_callback(lambda _: connection.wake())
        try:
            answer = await self._watch(pump)
        except BaseException:
            connection.abort()
            await _cancel(pump)
            raise
        early = self._unsent_bytes > 0
        error = await _cancel(pump)
        if error is not None and not isinstance(error, StoreError):
            raise error
        if answer is None and early:
            # The connection may have ended right behind the answer that explains why.
            answer = next_head(connection)
            if answer is None:
                raise error or connection.failure()
        if answer is not None and early and answer.status < 300:
            raise StoreProtocolError("the store answered success before it had the whole body")
        return answer

    async def _watch(self, pump: asyncio.Task[None]) -> ResponseHead | None:
        """Wait for the end of the sending or for an answer, whichever is first.

        When this returns, no buffer of the iterator's is in the transport any more: what is
        queued could otherwise be sent after its owner has filled it with something else.
        """
        connection, answer = self._connection, None
        while not (pump.done() or answer or connection.over):
            answer = next_head(connection)
            if answer is None:
                await connection.wait_input(None)
        if answer is None:
            if connection.over:
                connection.abort()
        elif self._unsent_bytes == 0:
            await asyncio.wait([pump])  # all is sent; the iterator is only finishing
        elif connection.draining:
            self._stopping = True
            length = int(answer.headers.get("content-length", INPUT_BYTES))
            while not (pump.done() or connection.over or connection.buffered_bytes >= length):
                await connection.wait_input(None)  # the drain's time-out holds here too
            if not pump.done():
                connection.abort()
        return answer

    async def _pump(self) -> None:
        connection, body = self._connection, self._body
        try:
            async for buffer in body:
                size = memoryview(buffer).nbytes
                if size > self._unsent_bytes:
                    raise ValueError("the body is longer than its content-length")
                # Head and first bytes leave in one write: SeaweedFS takes a request that ends
                # right after its head for an empty object, and replaces what it held.
                if self._head:
                    connection.write(self._head, buffer)
                    self._head = b""
                else:
                    connection.write(buffer)
                await connection.drain(self._timeout_s)
                self._unsent_bytes -= size
                if self._stopping:
                    return
            if self._unsent_bytes:
                raise ValueError("the body is shorter than its content-length")
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()


async def _cancel(task: asyncio.Task[None]) -> BaseException | None:
    """End the task if it still runs; returns what it failed with, if it did by itself."""
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
    return None if task.cancelled() else task.exception()
