"""Section 3: header, segments, sizes, trailer."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.testkit.kit.attributes import decode_attributes
from tests.testkit.kit.notation import (
    MAGIC,
    SEGMENT,
    SMALL,
    TRAILER,
    ZERO_NONCE,
    Refused,
    hkdf,
    seal,
    u64,
    unseal,
)


def segments(plain: int) -> int:
    return max(1, -(-plain // SEGMENT))


def part_size(plain: int) -> int:
    return 64 + plain + 16 * segments(plain)


def object_size(plain: int) -> int:
    return part_size(plain) + (TRAILER if plain > SMALL else 0)


def make_header(part: int, plain: int, salt: bytes, *, trailer: bool = False) -> bytes:
    fields = struct.pack(">BBHIQ", 1, 16, int(trailer), part, plain)
    return MAGIC + fields + bytes(24) + salt


def check_header(header: bytes) -> int:
    """The plain length that an acceptable header names."""
    if len(header) < 64:
        raise Refused("header", "cut")
    version, log2, flags, part = struct.unpack_from(">BBHI", header, 8)
    plain = int.from_bytes(header[16:24])
    if header[:8] != MAGIC:
        raise Refused("header", "magic")
    if version != 1:
        raise Refused("version", f"header version {version}")
    if log2 != 16 or flags & ~1 or not 1 <= part <= 10_000 or plain > 2**43 or any(header[24:48]):
        raise Refused("header", "a field out of bounds")
    return plain


def part_key(dek: bytes, data_id: bytes, header: bytes) -> bytes:
    return hkdf(dek, header[48:64], "part", data_id, header[:48])


def nonce(index: int, final: bool) -> bytes:
    return u64(index) + bytes(3) + bytes([final])


def cut(plain: bytes) -> list[bytes]:
    return [plain[i * SEGMENT : (i + 1) * SEGMENT] for i in range(segments(len(plain)))]


def seal_segments(key: bytes, plain: bytes) -> list[bytes]:
    pieces = cut(plain)
    last = len(pieces) - 1
    return [seal(key, nonce(i, i == last), piece) for i, piece in enumerate(pieces)]


def open_segments(key: bytes, plain_length: int, sealed: bytes) -> Iterator[bytes]:
    """The plaintext, a segment at a time; everything in `sealed` has to be used up."""
    last = segments(plain_length) - 1
    for i in range(last + 1):
        room = SEGMENT if i < last else plain_length - last * SEGMENT
        piece, sealed = sealed[: room + 16], sealed[room + 16 :]
        if len(piece) != room + 16:
            raise Refused("segment", f"segment {i} is cut")
        yield unseal("segment", key, nonce(i, i == last), piece)
    if sealed:
        raise Refused("segment", "bytes after the last segment")


def open_part(blob: bytes, dek: bytes, data_id: bytes) -> Iterator[bytes]:
    plain_length = check_header(blob[:64])
    yield from open_segments(part_key(dek, data_id, blob[:64]), plain_length, blob[64:])


def trailer_key(ak: bytes, header: bytes, data_id: bytes) -> bytes:
    return hkdf(ak, header[48:64], "trailer", data_id)


def seal_trailer(ak: bytes, data_id: bytes, header: bytes, padded: bytes) -> bytes:
    return seal(trailer_key(ak, header, data_id), ZERO_NONCE, padded, header)


def open_trailer(sealed: bytes, ak: bytes, data_id: bytes, header: bytes) -> dict[int, bytes]:
    padded = unseal("trailer", trailer_key(ak, header, data_id), ZERO_NONCE, sealed, header)
    attributes = decode_attributes(padded, "trailer")
    if any(tag != 0x02 and tag < 0x10 for tag in attributes):
        raise Refused("trailer", "an attribute that is only in envelopes")
    if 0x02 not in attributes:
        raise Refused("trailer", "no ETag")
    return attributes
