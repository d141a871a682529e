"""aiohttp's low-level server, with S3 errors where its parser would answer in plain text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_parser import HttpRequestParser
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from multidict import CIMultiDict

from sseproxy.proxy.intake import BodyIntake

ErrorPage = Callable[[int, BaseException | None], web.StreamResponse]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# A key of 1,024 bytes is 3 KiB once percent-encoded, and a pre-signed URL may carry a session
# token and response-* overrides beside it.
_MAX_LINE_BYTES = 32 * 1024
_MAX_FIELD_BYTES = 16 * 1024
_KEEPALIVE_S = 75.0
# Up to this size head and body are joined: one system call costs more than the copy.
_JOINED_BYTES = 64 * 1024
_BODILESS = (204, 304)


class WholeAnswer(web.StreamResponse):
    """An answer whose body is at hand: head and body leave in one write.

    headers: names and values as sent; Date and Connection are added here, and Content-Length and
    Content-Type where they are missing. A HEAD's Content-Length is what a GET would have.
    """

    def __init__(self, status: int, headers: CIMultiDict[str], body: bytes | bytearray) -> None:
        super().__init__(status=status, _real_headers=headers)
        self.body = body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it all. Raises ConnectionResetError when the client is gone."""
        if self.prepared:
            return None
        writer = self._payload_writer = request.writer
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        head, body = self._head(request), self.body if request.method != "HEAD" else b""
        if len(body) <= _JOINED_BYTES:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
            await writer.drain()
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""
        self._eof_sent = True
        self._payload_writer = None

    def _head(self, request: web.BaseRequest) -> bytes:
        version, headers = request.version, self._headers
        lines = [f"HTTP/{version[0]}.{version[1]} {self._status} {self._reason}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self._status not in _BODILESS:
            # A refused HEAD has no body here: what a GET would have had is not known.
            if "content-length" not in headers and (self.body or request.method != "HEAD"):
                lines.append(f"Content-Length: {len(self.body)}")
            if self.body and "content-type" not in headers:
                lines.append("Content-Type: application/octet-stream")
        lines.append(f"Date: {rfc822_formatted_time()}")
        if not self._keep_alive:
            lines.append("Connection: close")
        elif version < (1, 1):
            lines.append("Connection: keep-alive")
        text = "\n".join(lines)
        if text.count("\n") >= len(lines) or "\r" in text or "\0" in text:
            raise ValueError("a line break or NUL in the answer's head")
        return (text.replace("\n", "\r\n") + "\r\n\r\n").encode("utf-8", "surrogateescape")


class S3RequestHandler(RequestHandler):
    """One client connection."""

    __slots__ = ("_error_page", "_intake", "_last")

    def __init__(self, manager: web.Server, error_page: ErrorPage, **kw: Any):
        super().__init__(manager, **kw)
        self._error_page = error_page
        self._last = False
        self._intake: BodyIntake | None = None

    def take_body(self, content: StreamReader, length: int) -> BodyIntake:
        """Read a body of that many bytes past the parser."""
        self._intake = BodyIntake(self, content, length)
        return self._intake

    def body_taken(self, content: StreamReader) -> None:
        """The body was read to its end elsewhere: what comes next is another request."""
        self._intake = None
        # The parser still waits for that body; nothing of what it was fed is left in it.
        self._parser = HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=self._max_msg_queue_size,
        )
        content.feed_eof()  # which lets the transport read again

    def abandon_body(self) -> None:
        """Nobody will read the rest of the body that is being taken."""
        if self._intake is not None:
            self._intake.discard()

    def close(self) -> None:
        """Close when the running request is answered, at once if there is none.

        aiohttp's own would throw away the rest of that request's body.
        """
        if self._current_request is None:
            super().close()
        self._last = True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send what is left of an answer, the last one if the server is stopping."""
        if self._last:
            resp.force_close()
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Malformed HTTP, or what escaped the dispatcher: an S3 error, never aiohttp's page."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun; the connection is dropped")
        response = self._error_page(status, exc)
        response.force_close()
        return response

    def dont_linger(self) -> None:
        """Close after the answer without waiting for a body that the client was not asked for.

        A client that sent `Expect: 100-continue` and gets an error instead sends no body; what
        comes next on the connection would be read as one.
        """
        self._lingering_time = 0.0


class S3Server(web.Server):
    """The connection factory for `loop.create_server`."""

    def __init__(self, handler: Handler, error_page: ErrorPage) -> None:
        super().__init__(handler)
        self._error_page = error_page

    def __call__(self) -> S3RequestHandler:
        return S3RequestHandler(
            self,
            self._error_page,
            loop=self._loop,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_S,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_FIELD_BYTES,
            # A client's gzip is its own business: the bytes are stored as sent.
            auto_decompress=False,
        )
