"""The store's answers: a parsed head, and a body that is read when asked for.

The head is parsed by httptools. Bodies of known length bypass the parser (see connection.py);
chunked ones go on through it, so their framing is checked by the same code as the head's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import httptools

from sseproxy.errors import StoreProtocolError
from sseproxy.store.connection import INPUT_BYTES, Connection

READ_LIMIT_BYTES = 16 * 1024 * 1024
_NO_BODY_STATUS = frozenset({204, 304})


class ResponseHead:
    """A response head; also the receiver of httptools' events for the body that follows."""

    __slots__ = ("_in_body", "complete", "extra", "headers", "keep_alive", "parser", "pieces")

    def __init__(self, data: bytes) -> None:
        self.headers: dict[str, str] = {}
        self.pieces: deque[bytes] = deque()
        self.complete = self.extra = self._in_body = False
        self.parser = httptools.HttpResponseParser(self)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise StoreProtocolError(f"the store's response head: {error}") from error
        except httptools.HttpParserUpgrade as error:
            raise StoreProtocolError("the store changed the protocol unasked") from error
        options = self.headers.get("connection", "").lower()
        self.keep_alive = self.parser.get_http_version() == "1.1" and "close" not in options

    @property
    def status(self) -> int:
        return int(self.parser.get_status_code())

    def on_message_begin(self) -> None:
        # A second message, behind the end of the first: nobody asked for it.
        self.extra = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer field; nothing here wants them
        key = name.decode("latin-1").lower()
        # Undecodable bytes must survive the way to the client unchanged.
        text = value.decode("utf-8", "surrogateescape").strip()
        known = self.headers.get(key)
        self.headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        self._in_body = True

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self.pieces.append(data)

    def on_message_complete(self) -> None:
        self.complete = True

    def feed(self, data: bytes) -> None:
        """Body bytes of a chunked answer."""
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                raise StoreProtocolError(f"the store's chunked answer: {error}") from error
            self.extra = True


def next_head(connection: Connection) -> ResponseHead | None:
    """The next head that has arrived, informational ones skipped."""
    while (data := connection.take_head()) is not None:
        head = ResponseHead(data)
        if head.status >= 200:
            return head
    return None


class Body(Protocol):
    """How the end of a body is known."""

    done: bool
    clean: bool  # at its end, nothing but the body had arrived

    async def readinto(self, view: memoryview) -> int: ...


class LengthBody:
    """A body of declared length; also the empty body of HEAD, 204 and 304."""

    __slots__ = ("_connection", "_timeout_s", "clean", "done", "remaining_bytes")

    def __init__(self, connection: Connection, length: int, timeout_s: float) -> None:
        self._connection, self._timeout_s = connection, timeout_s
        self.remaining_bytes = length
        self.done, self.clean = length == 0, True
        if length - connection.buffered_bytes > INPUT_BYTES:
            connection.pause()

    async def readinto(self, view: memoryview) -> int:
        want = min(len(view), self.remaining_bytes)
        if want == 0:
            return 0
        connection = self._connection
        view = view[:want]
        size = connection.take_into(view)
        if size < want and not connection.over:
            follow = self.remaining_bytes - want
            rest = view[size:]
            size += await connection.receive_into(rest, self._timeout_s, follow_bytes=follow)
        if size < want:
            raise connection.failure()
        self.remaining_bytes -= want
        self.done = self.remaining_bytes == 0
        return want


class ChunkedBody:
    """A body in chunks, decoded by httptools from the connection's input buffer."""

    __slots__ = ("_connection", "_head", "_timeout_s", "clean", "done")

    def __init__(self, connection: Connection, head: ResponseHead, timeout_s: float) -> None:
        self._connection, self._head, self._timeout_s = connection, head, timeout_s
        self.done, self.clean = False, False

    async def readinto(self, view: memoryview) -> int:
        filled, head = 0, self._head
        while filled < len(view):
            if head.pieces:
                piece = head.pieces.popleft()
                size = min(len(piece), len(view) - filled)
                view[filled : filled + size] = piece[:size]
                filled += size
                if size < len(piece):
                    head.pieces.appendleft(piece[size:])
            elif head.complete:
                break
            elif self._connection.buffered_bytes:
                head.feed(self._connection.take(INPUT_BYTES))
            elif self._connection.over:
                raise self._connection.failure()
            else:
                await self._connection.wait_input(self._timeout_s)
        if head.complete and not head.pieces:
            self.done, self.clean = True, not head.extra
        return filled


class UntilCloseBody:
    """A body without declared length: it ends with the connection, which can't prove a cut."""

    __slots__ = ("_connection", "_timeout_s", "clean", "done")

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        self._connection, self._timeout_s = connection, timeout_s
        self.done, self.clean = False, False

    async def readinto(self, view: memoryview) -> int:
        connection, filled = self._connection, 0
        while filled < len(view):
            if connection.buffered_bytes:
                filled += connection.take_into(view[filled:])
            elif connection.eof:
                self.done = True
                break
            elif connection.over:
                raise connection.failure()
            else:
                await connection.wait_input(self._timeout_s)
        return filled


class HttpResponse:
    """An answer of the store. Use `async with`, or call `release()` when done with it.

    status, headers (names lower-case, duplicates joined by ", "), content_length (as declared;
    None if it was not; of a HEAD answer, what a GET would have brought).
    """

    __slots__ = (
        "_body",
        "_connection",
        "_release",
        "_reuse",
        "content_length",
        "headers",
        "status",
    )

    def __init__(
        self,
        connection: Connection,
        head: ResponseHead,
        method: str,
        *,
        reuse: bool,
        timeout_s: float,
        release: Callable[[Connection, bool], None],
    ) -> None:
        self.status, self.headers = head.status, head.headers
        self._connection, self._release = connection, release
        self._reuse = reuse and head.keep_alive
        length = head.headers.get("content-length")
        # httptools has let nothing but digits through, and not beside Transfer-Encoding.
        self.content_length = None if length is None else int(length)
        self._body = self._framing(head, method, timeout_s)
        if self._body is not None and self._body.done:
            self.release()

    def _framing(self, head: ResponseHead, method: str, timeout_s: float) -> Body | None:
        coding = head.headers.get("transfer-encoding")
        if method == "HEAD" or self.status in _NO_BODY_STATUS:
            return LengthBody(self._connection, 0, timeout_s)
        if coding is not None:
            if coding.lower() != "chunked":
                raise StoreProtocolError("an unknown Transfer-Encoding from the store")
            return ChunkedBody(self._connection, head, timeout_s)
        if self.content_length is not None:
            return LengthBody(self._connection, self.content_length, timeout_s)
        return UntilCloseBody(self._connection, timeout_s)

    async def readinto(self, view: memoryview) -> int:
        """Fill the view; fewer bytes only at the body's end, 0 after it.

        Raises StoreCut if the connection ends or stalls before the body does, StoreProtocolError
        for broken chunking. The socket is not read between calls.
        """
        if self._body is None:
            return 0
        try:
            size = await self._body.readinto(view)
        except BaseException:
            self._connection.abort()
            raise
        if self._body.done:
            self.release()
        return size

    async def read(self, limit: int = READ_LIMIT_BYTES) -> bytes:
        """The rest of the body. More than `limit` bytes of it: StoreProtocolError."""
        parts: list[bytes] = []
        total = 0
        while self._body is not None:
            size = INPUT_BYTES
            if isinstance(self._body, LengthBody):
                size = self._body.remaining_bytes
            if total + size > limit:
                # One byte more than allowed is enough to know.
                size = limit - total + 1
            block = bytearray(size)
            count = await self.readinto(memoryview(block))
            total += count
            if total > limit:
                self.release()
                raise StoreProtocolError(f"an answer of more than {limit} bytes")
            parts.append(bytes(memoryview(block)[:count]))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def release(self) -> None:
        """Give the connection back, closed unless the body was read to its end. Idempotent."""
        body, self._body = self._body, None
        if body is not None:
            self._release(self._connection, self._reuse and body.done and body.clean)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
