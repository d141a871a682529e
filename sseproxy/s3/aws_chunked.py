"""Bodies in aws-chunked framing, signed or with trailers, as a push parser (protocol.md 3.2).

    body    = *( header CRLF data CRLF ) last CRLF *( name ":" value CRLF ) CRLF
    header  = hex size [ ";chunk-signature=" 64 hex ]
    last    = the header of a chunk of size 0

Payload is handed out before its chunk is complete, as views of what was fed: nothing is copied
or held. So it is verified only when `finish` has returned, and whoever stores it MUST hold back
its last bytes until then. After an error the decoder is dead: every later call raises the same.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from enum import Enum
from hashlib import sha256

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.sigv4 import UNSIGNED_PAYLOAD, ChunkSigner

TRAILER_SIGNATURE = "x-amz-trailer-signature"

_HEX = frozenset("0123456789abcdef")
_SIGNATURE = b"chunk-signature="


class PayloadKind(Enum):
    """What x-amz-content-sha256 says about the body. SIGNED stands for any hex SHA-256."""

    SIGNED = "SHA256"
    UNSIGNED = UNSIGNED_PAYLOAD
    SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    UNSIGNED_CHUNKS_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

    @classmethod
    def of(cls, payload_hash: str) -> PayloadKind:
        """The kind of a header's value. Raises S3Error(InvalidArgument) for any other."""
        if len(payload_hash) == 64 and _HEX.issuperset(payload_hash):
            return cls.SIGNED
        kind = _KINDS.get(payload_hash)
        if kind is None:
            raise S3Error(
                Fault.InvalidArgument,
                "x-amz-content-sha256 must be a SHA-256 in hex or one of " + ", ".join(_KINDS),
                ArgumentName="x-amz-content-sha256",
                ArgumentValue=payload_hash,
            )
        return kind

    @property
    def chunked(self) -> bool:
        """The body is in aws-chunked framing."""
        return self in (
            PayloadKind.SIGNED_CHUNKS,
            PayloadKind.SIGNED_CHUNKS_TRAILER,
            PayloadKind.UNSIGNED_CHUNKS_TRAILER,
        )


_KINDS = {kind.value: kind for kind in PayloadKind if kind is not PayloadKind.SIGNED}


def make_decoder(
    kind: PayloadKind, headers: Mapping[str, str], signer: ChunkSigner | None
) -> ChunkedDecoder:
    """The decoder of a chunked body, set up from the request's headers (lower-case names).

    Raises S3Error: MissingContentLength without x-amz-decoded-content-length, InvalidArgument for
    a malformed one, MalformedTrailerError for x-amz-trailer with a kind that has no trailer.
    """
    length = headers.get("x-amz-decoded-content-length")
    if not length:
        raise S3Error(
            Fault.MissingContentLength,
            "You must provide the x-amz-decoded-content-length HTTP header.",
        )
    if not (length.isascii() and length.isdigit() and len(length) <= 16):
        raise S3Error(
            Fault.InvalidArgument,
            "x-amz-decoded-content-length must be a number of bytes.",
            ArgumentName="x-amz-decoded-content-length",
            ArgumentValue=length,
        )
    names = [name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",")]
    trailer_names = {name for name in names if name}
    if trailer_names and kind is PayloadKind.SIGNED_CHUNKS:
        raise S3Error(Fault.MalformedTrailerError)
    signed = kind is not PayloadKind.UNSIGNED_CHUNKS_TRAILER
    if signed and signer is None:
        raise ValueError("signed chunks need a signer")
    return ChunkedDecoder(
        decoded_length=int(length),
        signer=signer if signed else None,
        trailer_names=trailer_names,
        signed_trailer=kind is PayloadKind.SIGNED_CHUNKS_TRAILER,
    )


class _State(Enum):
    HEADER = 1
    DATA = 2
    DATA_END = 3
    TRAILER = 4
    DONE = 5


# Without the CRLF. After a chunk's data nothing but the CRLF may come.
_LONGEST_LINE = {_State.HEADER: 256, _State.DATA_END: 0, _State.TRAILER: 1024}


class ChunkedDecoder:
    """Bytes of an aws-chunked body in, views of the payload out.

    decoded_length: payload bytes promised. signer: verifies every chunk's signature, None for
    unsigned chunks. trailer_names: those promised in x-amz-trailer, lower case, all of them MUST
    come and no other. signed_trailer: the trailer has a signature (needs a signer).
    """

    def __init__(
        self,
        *,
        decoded_length: int,
        signer: ChunkSigner | None,
        trailer_names: Collection[str],
        signed_trailer: bool,
    ) -> None:
        if signed_trailer and signer is None:
            raise ValueError("a signed trailer needs a signer")
        self._missing = decoded_length
        self._signer = signer
        self._signed_trailer = signed_trailer
        self._trailer_names = frozenset(trailer_names)
        self._trailers: dict[str, str] = {}
        self._trailer_signature: str | None = None
        self._state = _State.HEADER
        self._line = bytearray()
        self._chunk_left = 0
        self._chunk_signature = b""
        self._chunk_hash = sha256()
        self._error: S3Error | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes | memoryview]:
        """Payload pieces of the next bytes of the body: views of data, valid while it is unchanged.

        Raises S3Error: SignatureDoesNotMatch, InvalidChunkSizeError, IncompleteBody (more or
        fewer bytes than promised, broken framing), MalformedTrailerError.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._feed(memoryview(data).cast("B"))
        except S3Error as error:
            self._error = error
            raise

    def finish(self) -> dict[str, str]:
        """The trailers, once the body has ended; all of it is verified then.

        Names are lower-case. Raises S3Error(IncompleteBody) if the body is not complete.
        """
        if self._error is not None:
            raise self._error
        if self._state is not _State.DONE:
            self._error = S3Error(Fault.IncompleteBody, "The request body terminated unexpectedly.")
            raise self._error
        return dict(self._trailers)

    def _feed(self, data: memoryview) -> list[bytes | memoryview]:
        pieces: list[bytes | memoryview] = []
        at, end = 0, len(data)
        while at < end:
            if self._state is _State.DATA:
                piece = data[at : at + self._chunk_left]
                at += len(piece)
                self._chunk_left -= len(piece)
                if self._signer is not None:
                    self._chunk_hash.update(piece)
                pieces.append(piece)
                if not self._chunk_left:
                    self._state = _State.DATA_END
                continue
            line, at = self._read_line(data, at)
            if line is None:
                break
            if self._state is _State.HEADER:
                self._on_header(line)
            elif self._state is _State.DATA_END:
                self._on_data_end()
            elif line:
                self._on_trailer(line)
            else:
                self._on_end()
        return pieces

    def _read_line(self, data: memoryview, at: int) -> tuple[bytes | None, int]:
        """The next line without its CRLF (None if it is not complete yet) and what it leaves."""
        if self._state is _State.DONE:
            raise S3Error(Fault.IncompleteBody, "The request body goes on after its last chunk.")
        longest = _LONGEST_LINE[self._state] + 2
        partial = self._line
        before = len(partial)
        partial += data[at : at + longest - before]
        stop = partial.find(b"\r\n")
        if stop < 0:
            if len(partial) == longest:
                raise _broken(self._state)
            return None, len(data)
        line = bytes(partial[:stop])
        partial.clear()
        return line, at + stop + 2 - before

    def _on_header(self, line: bytes) -> None:
        size_text, has_signature, extension = line.partition(b";")
        if not size_text or len(size_text) > 16 or size_text.strip(b"0123456789abcdefABCDEF"):
            raise S3Error(Fault.InvalidChunkSizeError, "A chunk's size is not a hex number.")
        size = int(size_text, 16)
        if size > self._missing:
            raise S3Error(
                Fault.IncompleteBody,
                "The body is longer than x-amz-decoded-content-length says.",
            )
        if self._signer is not None:
            if not extension.startswith(_SIGNATURE):
                raise S3Error(Fault.SignatureDoesNotMatch, "A chunk has no signature.")
            self._chunk_signature = extension[len(_SIGNATURE) :]
        elif has_signature:
            raise _broken(self._state)
        self._missing -= size
        self._chunk_left = size
        if size:
            self._state = _State.DATA
            return
        if self._missing:
            raise S3Error(
                Fault.IncompleteBody,
                "The body is shorter than x-amz-decoded-content-length says.",
            )
        self._verify_chunk()
        self._state = _State.TRAILER

    def _on_data_end(self) -> None:
        self._verify_chunk()
        self._state = _State.HEADER

    def _verify_chunk(self) -> None:
        if self._signer is None:
            return
        expected = self._signer.next_chunk_signature(self._chunk_hash.hexdigest())
        if not hmac.compare_digest(expected.encode(), self._chunk_signature):
            raise S3Error(Fault.SignatureDoesNotMatch, "A chunk's signature does not match.")
        self._chunk_hash = sha256()

    def _on_trailer(self, line: bytes) -> None:
        # Some signers end a line with the "\n" that they sign, and then with CRLF.
        name_text, colon, value_text = line.removesuffix(b"\n").partition(b":")
        if not colon or not line.isascii() or self._trailer_signature is not None:
            raise S3Error(Fault.MalformedTrailerError)
        name, value = name_text.decode().lower(), value_text.decode().strip(" ")
        if name == TRAILER_SIGNATURE and self._signed_trailer:
            self._trailer_signature = value
        elif name in self._trailer_names and name not in self._trailers:
            self._trailers[name] = value
        else:
            raise S3Error(Fault.MalformedTrailerError)

    def _on_end(self) -> None:
        if len(self._trailers) != len(self._trailer_names):
            raise S3Error(
                Fault.MalformedTrailerError, "A trailer that x-amz-trailer names is missing."
            )
        if self._signed_trailer and self._signer is not None:
            text = "".join(f"{name}:{value}\n" for name, value in self._trailers.items())
            expected = self._signer.trailer_signature(sha256(text.encode()).hexdigest())
            if not hmac.compare_digest(expected, self._trailer_signature or ""):
                raise S3Error(
                    Fault.SignatureDoesNotMatch, "The trailer's signature does not match."
                )
        self._state = _State.DONE


def _broken(state: _State) -> S3Error:
    if state is _State.TRAILER:
        return S3Error(Fault.MalformedTrailerError)
    return S3Error(Fault.IncompleteBody, "The aws-chunked framing of the request body is broken.")
