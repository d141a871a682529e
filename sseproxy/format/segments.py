"""Sealing and opening the segments of a part: the path that every byte of data takes.

The caller owns the buffers. It hands in whole segments, as many as it likes at a time, and
a buffer to write to, so a byte is touched by AES-GCM and by nothing else. Both classes know
from the header how long the part is, hence which segment is final, and both refuse to reuse
or skip an index whatever they are fed.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sseproxy.errors import IntegrityError
from sseproxy.format.header import (
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    Header,
    part_key,
)
from sseproxy.format.layout import segment_count
from sseproxy.secret import Secret

Buffer = bytes | bytearray | memoryview

_nonce = struct.Struct(">Q3xB").pack


def part_cipher(dek: Secret, data_id: bytes, header: Header) -> AESGCM:
    """What a part's segments are sealed with; worth keeping for an object that is read often."""
    return AESGCM(part_key(dek, data_id, header).reveal())


class PartSealer:
    """Seals the plaintext of one part, in order, once (section 3.2).

    The header must carry a fresh random salt: it alone keeps two parts from sharing a key.
    """

    __slots__ = ("_aead", "_next", "_plain_left", "finished")

    def __init__(self, dek: Secret, data_id: bytes, header: Header) -> None:
        self._aead = part_cipher(dek, data_id, header)
        self._next = 0
        self._plain_left = header.plain_length
        self.finished = False

    def seal_into(self, plain: Buffer, out: memoryview) -> int:
        """Seal the next plaintext into the front of `out`; the number of bytes written.

        plain: whole segments of 65,536 bytes, or the tail that completes the part's plain
        length; for an empty part, no bytes, once. out: a writable view that does not overlap
        `plain`, with room for 16 bytes more per segment. ValueError if it is anything else.
        """
        source = memoryview(plain)
        size = len(source)
        last = size == self._plain_left
        if size > self._plain_left:
            raise ValueError("more plaintext than the header announces")
        if not last and size % SEGMENT_BYTES:
            raise ValueError("neither whole segments nor the tail of the part")
        if self.finished:
            return 0
        count = segment_count(size) if last else size // SEGMENT_BYTES
        sealed_size = size + TAG_BYTES * count
        if len(out) < sealed_size:
            raise ValueError("no room for the sealed segments")
        # Indices are spent before anything is sealed with them, so that no error can lead to
        # a second use of a nonce.
        first = self._next
        self._next += count
        self._plain_left -= size
        final = self._next - 1 if last else -1
        encrypt, start, position = self._aead.encrypt_into, 0, 0
        for index in range(first, first + count):
            stop = min(start + SEGMENT_BYTES, size)
            end = position + stop - start + TAG_BYTES
            encrypt(_nonce(index, index == final), source[start:stop], None, out[position:end])
            start, position = stop, end
        self.finished = last
        return sealed_size


class PartOpener:
    """Opens the segments of one part, or of a window of it, in order (section 3.2).

    cipher: the part's, from `part_cipher`. first_segment, segments: the window, as `layout.window`
    gives it; up to the end of the part unless told otherwise. `plain_bytes` counts what was
    verified so far. After a failure the opener is dead: every further call raises.
    """

    __slots__ = ("_aead", "_failure", "_final", "_final_bytes", "_next", "_stop", "plain_bytes")

    def __init__(
        self,
        cipher: AESGCM,
        header: Header,
        *,
        first_segment: int = 0,
        segments: int | None = None,
    ) -> None:
        count = segment_count(header.plain_length)
        stop = count if segments is None else first_segment + segments
        if not 0 <= first_segment < stop <= count:
            raise ValueError("the window is not within the part")
        self._aead = cipher
        self._next = first_segment
        self._stop = stop
        self._final = count - 1
        self._final_bytes = header.plain_length - self._final * SEGMENT_BYTES
        self._failure: tuple[str, str] | None = None
        self.plain_bytes = 0

    @property
    def finished(self) -> bool:
        """Whether the last segment (of the part, or of the window) was opened."""
        return self._next == self._stop and self._failure is None

    def open_into(self, sealed: Buffer, out: memoryview) -> int:
        """Open the next sealed segments into the front of `out`; the number of plain bytes.

        sealed: whole sealed segments of 65,552 bytes, the final one of its own length. out: a
        writable view that does not overlap `sealed`, with room for 16 bytes less per segment;
        ValueError if it has not. IntegrityError("segment") if a tag does not verify or there are
        bytes beyond the end, ("truncated") for a part of a segment. Only what `plain_bytes`
        counts may be released after an error.
        """
        self._refuse_if_dead()
        source = memoryview(sealed)
        size = len(source)
        whole, rest = divmod(size, SEALED_SEGMENT_BYTES)
        if len(out) < whole * SEGMENT_BYTES + max(0, rest - TAG_BYTES):
            raise ValueError("no room for the plaintext")
        decrypt, start, position = self._aead.decrypt_into, 0, 0
        while start < size:
            index = self._next
            if index == self._stop:
                raise self._dead("segment", "bytes after the last segment")
            final = index == self._final
            end = position + (self._final_bytes if final else SEGMENT_BYTES)
            stop = start + end - position + TAG_BYTES
            if stop > size:
                raise self._dead("truncated", f"segment {index} is cut short")
            try:
                decrypt(_nonce(index, final), source[start:stop], None, out[position:end])
            except InvalidTag:
                # OpenSSL decrypts before it compares the tag: take back what it wrote.
                out[position:end] = bytes(end - position)
                raise self._dead("segment", f"segment {index} failed authentication") from None
            self._next = index + 1
            self.plain_bytes += end - position
            start, position = stop, end
        return position

    def finish(self) -> None:
        """Say that the input has ended; IntegrityError("truncated") if segments are missing."""
        self._refuse_if_dead()
        if not self.finished:
            raise self._dead("truncated", "the part ends before its last segment")

    def _dead(self, reason: str, message: str) -> IntegrityError:
        # Words, not the exception: its traceback would keep the caller's buffers alive.
        self._failure = (reason, message)
        return IntegrityError(reason, message)

    def _refuse_if_dead(self) -> None:
        if self._failure is not None:
            reason, message = self._failure
            raise IntegrityError(reason, f"failed before: {message}")
