"""Unambiguous concatenation, key derivation, and the name an envelope is bound to."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sseproxy.secret import Secret

KEY_BYTES = 32
SALT_BYTES = 16
ID_BYTES = 16

_LENGTH = struct.Struct(">I")


def lp(*items: bytes | str) -> bytes:
    """Concatenate items so that no two sequences of items give the same bytes (section 1).

    Each item is prefixed by its length as u32; strings are UTF-8. Numbers are packed by the caller.
    """
    encoded = [item.encode() if isinstance(item, str) else item for item in items]
    return b"".join(_LENGTH.pack(len(item)) + item for item in encoded)


def hkdf(key: Secret, salt: bytes, *info: bytes | str) -> Secret:
    """Derive a 32-byte key: HKDF-SHA256 with info = lp(*info), the label first (section 1)."""
    kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=lp(*info))
    return Secret(kdf.derive(key.reveal()))


@dataclass(frozen=True, slots=True)
class ObjectName:
    """The name that binds an envelope to its place: bucket identity and decoded key (section 1)."""

    bucket_identity: str
    key: str

    def lp(self) -> bytes:
        """The name as it enters authenticated data: lp(bucket identity, key)."""
        return lp(self.bucket_identity, self.key)
