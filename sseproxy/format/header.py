"""The header of a part, and the key that its segments are sealed with."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sseproxy.errors import IntegrityError, UnknownVersion
from sseproxy.format.names import SALT_BYTES, hkdf
from sseproxy.secret import Secret

MAGIC = b"\x93SSEPRX\n"
VERSION = 1
SEGMENT_LOG2 = 16
SEGMENT_BYTES = 1 << SEGMENT_LOG2
TAG_BYTES = 16
SEALED_SEGMENT_BYTES = SEGMENT_BYTES + TAG_BYTES
HEADER_BYTES = 64
MAX_PART_NUMBER = 10_000
MAX_PLAIN_BYTES = 2**43

_FLAG_TRAILER = 1
_KEYED_BYTES = HEADER_BYTES - SALT_BYTES  # what of the header enters the key besides the salt
_LAYOUT = struct.Struct(">8sBBHIQ24s16s")
_RESERVED = bytes(24)


@dataclass(frozen=True, slots=True)
class Header:
    """What a part says about itself (section 3.1).

    part_number: 1 to 10,000; plain_length: bytes, at most 2^43; salt: 16 random bytes.
    ValueError for anything else.
    """

    part_number: int
    plain_length: int
    salt: bytes
    has_trailer: bool

    def __post_init__(self) -> None:
        if not 1 <= self.part_number <= MAX_PART_NUMBER:
            raise ValueError(f"part number {self.part_number} is not within 1..{MAX_PART_NUMBER}")
        if not 0 <= self.plain_length <= MAX_PLAIN_BYTES:
            raise ValueError(f"plain length {self.plain_length} is not within 0..2^43")
        if len(self.salt) != SALT_BYTES:
            raise ValueError("a part's salt has 16 bytes")

    def pack(self) -> bytes:
        """The 64 bytes as stored (section 3.1)."""
        return _LAYOUT.pack(
            MAGIC,
            VERSION,
            SEGMENT_LOG2,
            _FLAG_TRAILER if self.has_trailer else 0,
            self.part_number,
            self.plain_length,
            _RESERVED,
            self.salt,
        )

    @classmethod
    def parse(cls, data: bytes) -> Header:
        """Read a stored header of exactly 64 bytes, trusting none of it (section 3.1).

        UnknownVersion, or IntegrityError("header") for anything else that v1 does not allow.
        """
        if len(data) != HEADER_BYTES:
            raise IntegrityError("header", f"a header has 64 bytes, this one {len(data)}")
        magic, version, log2, flags, number, length, reserved, salt = _LAYOUT.unpack(data)
        if magic != MAGIC:
            raise IntegrityError("header", "not the header of an encrypted part")
        if version != VERSION:
            raise UnknownVersion(f"part header of version {version}; this reader knows 1")
        if log2 != SEGMENT_LOG2 or flags & ~_FLAG_TRAILER or reserved != _RESERVED:
            raise IntegrityError("header", "segment size, flags or reserved bytes are not v1's")
        try:
            return cls(number, length, salt, flags == _FLAG_TRAILER)
        except ValueError as error:
            raise IntegrityError("header", str(error)) from None

    def check(self, stored: bytes) -> None:
        """Compare a stored header with this one, rebuilt from the envelope (section 4.3 step 4).

        Raises as `parse` does, and IntegrityError("header") if they differ.
        """
        if Header.parse(stored) != self:
            raise IntegrityError("header", "the stored header is not the one of this object")


def part_key(dek: Secret, data_id: bytes, header: Header) -> Secret:
    """The key of a part's segments, from the object's data key (section 3.1)."""
    keyed = header.pack()[:_KEYED_BYTES]
    return hkdf(dek, header.salt, "sseproxy/v1/part", data_id, keyed)
