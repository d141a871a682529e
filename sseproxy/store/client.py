"""A pool of kept-alive HTTP/1.1 connections to one store. It knows nothing of S3.

What it promises, since an HTTP library usually does not:
- a started body is never sent twice; only GET and HEAD are retried, once, and only where a
  kept-alive connection turned out to be closed before anything of the answer arrived;
- an exception in the body's iterator ends the connection in mid-request, so that the store
  keeps nothing;
- a buffer that the iterator yields has left this process before the next one is asked for;
- an answer that comes before the body is sent ends the sending;
- the socket is not read while nobody asks for the body.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from urllib.parse import urlsplit

from sseproxy.errors import StoreUnavailable
from sseproxy.store.connection import Buffer, Connection
from sseproxy.store.response import HttpResponse, ResponseHead, next_head
from sseproxy.store.upload import Upload

Body = bytes | AsyncIterator[Buffer] | None

_RETRIED_METHODS = frozenset({"GET", "HEAD"})
_JOINED_BODY_BYTES = 65536
_CLOSED = "the connections to the store have been closed"


class HttpPool:
    """Connections to one endpoint ("http://host:port"), kept alive between requests.

    All times in seconds. keepalive_s is below the 30 s after which MinIO closes an idle one.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int = 512,
        connect_timeout_s: float = 5,
        first_byte_timeout_s: float = 60,
        idle_timeout_s: float = 60,
        keepalive_s: float = 20,
    ) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"not an http(s) endpoint: {endpoint!r}")
        if parts.path not in {"", "/"} or parts.query or parts.username is not None:
            raise ValueError("an endpoint is scheme, host and port only")
        self._hostname = parts.hostname
        self.secure = parts.scheme == "https"
        self._port = parts.port or (443 if self.secure else 80)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        # The form every client signs: the default port is left out.
        self.host = host if self._port == (443 if self.secure else 80) else f"{host}:{self._port}"
        self._ssl = (ssl_context or ssl.create_default_context()) if self.secure else None
        self._max_connections = max_connections
        self._connect_timeout_s = connect_timeout_s
        self._first_byte_timeout_s = first_byte_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._keepalive_s = keepalive_s
        self._idle: deque[Connection] = deque()  # the latest used is last, and taken first
        self._connections: set[Connection] = set()
        self._connecting = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._all_lost = asyncio.Event()

    async def request(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: Body = None,
    ) -> HttpResponse:
        """Send one request and return its answer once the head is there.

        target: the encoded path and query. An iterator needs a content-length among the headers;
        Host is added unless given. Raises StoreUnavailable, StoreProtocolError, StoreCut (cut
        within the head), ValueError for what can't be sent, and whatever the iterator raises.
        """
        head, length = self._encode_head(method, target, headers, body)
        connection = self._take_idle() or await self._acquire(fresh=False)
        try:
            return await self._exchange(connection, method, head, body, length)
        except StoreUnavailable:
            stale = connection.served > 0 and not connection.answered and not connection.timed_out
            if not (stale and method in _RETRIED_METHODS and (body is None or body == b"")):
                raise
        connection = await self._acquire(fresh=True)
        return await self._exchange(connection, method, head, body, length)

    async def close(self) -> None:
        """Close every connection, those in use too."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._all_lost.clear()
        for connection in tuple(self._connections):
            connection.abort()
        while self._waiters:
            self._wake_waiter()
        if self._connections:
            await self._all_lost.wait()

    @property
    def idle_connections(self) -> int:
        """How many connections are open and not in use."""
        return len(self._idle)

    # -- one exchange -----------------------------------------------------------------------

    async def _exchange(
        self, connection: Connection, method: str, head: bytes, body: Body, length: int
    ) -> HttpResponse:
        connection.begin()
        answer: ResponseHead | None = None
        whole = True
        try:
            if body is None or isinstance(body, bytes):
                self._write_whole(connection, head, body or b"")
            else:
                upload = Upload(connection, head, body, length, self._idle_timeout_s)
                answer = await upload.run()
                whole = upload.complete
            while answer is None:
                answer = next_head(connection)
                if answer is None:
                    if connection.over:
                        raise connection.failure()
                    await connection.wait_input(self._first_byte_timeout_s)
            return HttpResponse(
                connection,
                answer,
                method,
                reuse=whole,
                timeout_s=self._idle_timeout_s,
                release=self._release,
            )
        except BaseException:
            connection.abort()
            raise

    @staticmethod
    def _write_whole(connection: Connection, head: bytes, body: bytes) -> None:
        if not body:
            connection.write(head)
        elif len(body) <= _JOINED_BODY_BYTES:
            connection.write(head + body)
        else:
            connection.write(head, body)

    def _encode_head(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: Body
    ) -> tuple[bytes, int]:
        if " " in target or not target.startswith("/"):
            raise ValueError("a request target must be encoded and begin with a slash")
        lines = [f"{method} {target} HTTP/1.1"]
        length: int | None = None
        host = self.host
        for name, value in headers:
            key = name.lower()
            if key == "host":
                host = value
                continue
            if key == "content-length":
                length = int(value)
                continue
            if key in {"transfer-encoding", "connection", "expect"}:
                raise ValueError(f"{key} is the connection's own business")
            lines.append(f"{name}: {value}")
        lines.insert(1, f"Host: {host}")
        length = _body_length(method, body, length)
        if length is not None:
            lines.append(f"Content-Length: {length}")
        text = "\n".join(lines)
        if text.count("\n") != len(lines) - 1 or "\r" in text or "\0" in text:
            raise ValueError("a line break or NUL in the request's head")
        text = text.replace("\n", "\r\n") + "\r\n\r\n"
        return text.encode("utf-8", "surrogateescape"), length or 0

    # -- the pool ---------------------------------------------------------------------------

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            age_s = asyncio.get_running_loop().time() - connection.idle_since
            if connection.reusable and age_s < self._keepalive_s:
                return connection
            connection.abort()
        return None

    async def _acquire(self, *, fresh: bool) -> Connection:
        """A connection for one exchange: a kept-alive one unless `fresh`, else a new one."""
        deadline = asyncio.get_running_loop().time() + self._first_byte_timeout_s
        while not self._closed:
            connection = None if fresh else self._take_idle()
            if connection is not None:
                return connection
            if len(self._connections) + self._connecting < self._max_connections:
                return await self._connect()
            if self._idle:
                self._idle.popleft().abort()
            await self._wait_turn(deadline)
        raise StoreUnavailable(_CLOSED)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        place = f"{self._hostname}:{self._port}"
        self._connecting += 1
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, self._on_lost),
                    self._hostname,
                    self._port,
                    ssl=self._ssl,
                )
        except BaseException as error:
            self._wake_waiter()
            if isinstance(error, TimeoutError):
                raise StoreUnavailable(f"no connection to {place} in time") from error
            if isinstance(error, OSError):
                raise StoreUnavailable(f"no connection to {place}: {error}") from error
            raise
        finally:
            self._connecting -= 1
        if self._closed:
            connection.abort()
            raise StoreUnavailable(_CLOSED)
        self._connections.add(connection)
        return connection

    async def _wait_turn(self, deadline: float) -> None:
        """Until a connection has been given back or closed."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except TimeoutError as error:
            raise StoreUnavailable("all connections to the store are in use") from error
        except BaseException:
            if waiter.done():
                self._wake_waiter()  # the turn goes to the next in line
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _release(self, connection: Connection, reuse: bool) -> None:
        if reuse and connection.reusable and not self._closed:
            connection.park()
            self._idle.append(connection)
            if self._sweeper is None:
                loop = asyncio.get_running_loop()
                self._sweeper = loop.call_later(self._keepalive_s, self._sweep)
            self._wake_waiter()
        else:
            connection.abort()

    def _on_lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not connection.in_use and connection in self._idle:
            self._idle.remove(connection)
        if not self._connections:
            self._all_lost.set()
        self._wake_waiter()

    def _wake_waiter(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _sweep(self) -> None:
        """Close what has been idle too long; the oldest is first."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._idle and now - self._idle[0].idle_since >= self._keepalive_s:
            self._idle.popleft().abort()
        if self._idle:
            due = self._idle[0].idle_since + self._keepalive_s
            self._sweeper = loop.call_at(due, self._sweep)


def _body_length(method: str, body: Body, declared: int | None) -> int | None:
    """The length to declare; None for requests that have no body at all."""
    if isinstance(body, bytes):
        if declared is not None and declared != len(body):
            raise ValueError("content-length is not the body's length")
        return len(body)
    if body is not None:
        if declared is None or declared < 0:
            raise ValueError("a streamed body needs its content-length")
        return declared
    if declared:
        raise ValueError("a content-length without a body")
    return None if method in {"GET", "HEAD", "DELETE"} else 0
