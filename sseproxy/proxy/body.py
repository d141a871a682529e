"""The plaintext of a request's body: unframed, counted, and verified while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Protocol

from aiohttp import StreamReader

from sseproxy.format.layout import SMALL_OBJECT_BYTES
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.server import S3RequestHandler
from sseproxy.s3.aws_chunked import ChunkedDecoder, PayloadKind, make_decoder
from sseproxy.s3.checksums import BodyDigests, checksum_headers, parse_expected
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.operations import Operation
from sseproxy.s3.request import Dialect

# Computed for every sealed object, so that one written through S3 reads through COS, whose
# answers always carry it.
COS_CHECKSUM = "crc64ecma"


class PlainBody(Protocol):
    """What a sealed object is made of: a client's body, or an object being copied.

    length: plain bytes. `pieces()` is read to its end once; then `finish()` verifies what was
    promised and sets `digests`, by the names of sseproxy.s3.checksums.
    """

    length: int
    digests: Mapping[str, bytes]

    def pieces(self) -> AsyncIterator[bytes | memoryview]: ...
    def finish(self) -> None: ...
    def checksums(self) -> dict[str, bytes]:
        """The checksums to seal with the object and to repeat to the client."""
        ...


async def read_whole(body: PlainBody) -> bytes:
    """The whole body in memory, verified. Only for bodies known to be small."""
    pieces = [bytes(piece) async for piece in body.pieces()]
    body.finish()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def held_back(body: PlainBody) -> AsyncIterator[bytes | memoryview]:
    """The plain bytes, the last of them only after everything was verified.

    For bodies that the store gets as they are: on a failure its request stays unfinished, and
    it keeps what it had.
    """
    last: bytes | memoryview = b""
    async for piece in body.pieces():
        if last:
            yield last
        last = bytes(piece)
    body.finish()
    yield last


class ClientBody:
    """A request's body as the client means it; a PlainBody.

    length: as declared; more or fewer bytes are an error. also: digests to compute beside
    those that the client asked for. Raises S3Error for promises that can't be understood.
    """

    def __init__(self, exchange: Exchange, *, also: Collection[str] = ()) -> None:
        self._exchange = exchange
        headers = exchange.head.headers
        kind = PayloadKind.of(headers.get("x-amz-content-sha256", PayloadKind.UNSIGNED.value))
        self._decoder: ChunkedDecoder | None = None
        if kind.chunked:
            if kind is not PayloadKind.UNSIGNED_CHUNKS_TRAILER and exchange.chunk_signer is None:
                raise S3Error(Fault.AccessDenied, "Signed chunks need a signed request.")
            self._decoder = make_decoder(kind, headers, exchange.chunk_signer)
            self.length = int(headers["x-amz-decoded-content-length"])
        else:
            self.length = _content_length(headers)
        if exchange.operation is Operation.CompleteMultipartUpload:
            # Its checksum headers are about the object, not about this body.
            headers = {n: v for n, v in headers.items() if not n.startswith("x-amz-checksum-")}
        self._expected = parse_expected(headers)
        self._digests = BodyDigests(self._expected, also=also)
        self._seen = 0
        self.digests: Mapping[str, bytes] = {}

    async def pieces(self) -> AsyncIterator[bytes | memoryview]:
        """The plain bytes as they arrive, each already counted and digested.

        A large body comes in whole segments but for its end: those are sealed where they lie.
        """
        self._exchange.send_continue()
        async for data in self._taken() if self._is_taken else self._parsed():
            for piece in self._decoder.feed(data) if self._decoder else (data,):
                self._seen += len(piece)
                self._digests.update(piece)
                yield piece

    @property
    def _is_taken(self) -> bool:
        """Large, of known length, and not within HTTP's own chunks, which the parser undoes."""
        headers = self._exchange.head.headers
        return "transfer-encoding" not in headers and _content_length(headers) > SMALL_OBJECT_BYTES

    async def _parsed(self) -> AsyncIterator[bytes]:
        content = self._exchange.request.content
        while data := await self._next(content):
            yield data

    async def _taken(self) -> AsyncIterator[memoryview]:
        """The body as sent, read past aiohttp's parser into one buffer again and again."""
        exchange = self._exchange
        request, left = exchange.request, _content_length(exchange.head.headers)
        assert isinstance(request.protocol, S3RequestHandler)
        intake = request.protocol.take_body(request.content, left)
        first, idle_s = memoryview(intake.first), exchange.services.limits.client_idle_s
        with exchange.services.buffers.borrow_plain() as buffer:
            while left:
                view = buffer[: min(left, len(buffer))]
                early = min(len(first), len(view))
                view[:early] = first[:early]
                first = first[early:]
                if early < len(view):
                    try:
                        await intake.fill(view[early:], idle_s)
                    except TimeoutError:
                        raise S3Error(Fault.RequestTimeout) from None
                left -= len(view)
                yield view

    async def _next(self, content: StreamReader) -> bytes:
        # What has arrived needs no timer, which costs more than all the rest here.
        if (data := content.read_nowait()) or content.is_eof():
            return data
        try:
            async with asyncio.timeout(self._exchange.services.limits.client_idle_s):
                return await content.readany()
        except TimeoutError:
            raise S3Error(Fault.RequestTimeout) from None

    def finish(self) -> None:
        """Every promise kept, or S3Error by S3's name."""
        trailers = self._decoder.finish() if self._decoder else {}
        if self._seen != self.length:
            raise S3Error(Fault.IncompleteBody)
        self.digests = self._digests.finish(trailers)

    @property
    def announced(self) -> frozenset[str]:
        """The checksums that the client sent or promises in a trailer, by name; not yet checked."""
        return frozenset({*self._expected.checksums, *self._expected.trailer})

    def promised(self) -> dict[str, bytes]:
        """The checksums that the client sent or promised, verified: S3's answer repeats them."""
        return {
            name: self.digests[name]
            for name in (*self._expected.checksums, *self._expected.trailer)
            if name in self.digests
        }

    def checksums(self) -> dict[str, bytes]:
        """The client's, and the one that COS answers always carry."""
        return self.promised() | {COS_CHECKSUM: self.digests[COS_CHECKSUM]}

    def trailer_headers(self) -> dict[str, str]:
        """Checksums that came behind the body, as the headers that they could have been."""
        if not self._expected.trailer or not self.digests:
            return {}
        return checksum_headers(
            {name: self.digests[name] for name in self._expected.trailer}, Dialect.S3
        )


def _content_length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length")
    if text is None:
        if "transfer-encoding" in headers:
            raise S3Error(Fault.MissingContentLength)
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise S3Error(Fault.BadRequest, "Content-Length is not a number of bytes.")
    return int(text)
