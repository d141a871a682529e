"""Section 1: notation, the encodings, and what stands for a refusal."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"\x93SSEPRX\n"
SEGMENT = 65_536
SMALL = 524_288
TRAILER = 256
ZERO_NONCE = bytes(12)


class Refused(Exception):  # an outcome that vectors expect, not a fault of the kit
    """What a reader must not accept. stage: the word before "failure" in a vector."""

    def __init__(self, stage: str, why: str) -> None:
        self.stage = stage
        super().__init__(f"{stage}: {why}")


def u32(number: int) -> bytes:
    return struct.pack(">I", number)


def u64(number: int) -> bytes:
    return struct.pack(">Q", number)


def raw(item: bytes | str) -> bytes:
    return item.encode() if isinstance(item, str) else item


def lp(*items: bytes | str) -> bytes:
    return b"".join(u32(len(raw(item))) + raw(item) for item in items)


def hkdf(key: bytes, salt: bytes, label: str, *items: bytes | str) -> bytes:
    info = lp(f"sseproxy/v1/{label}", *items)
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)


def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes = b"") -> bytes:
    return AESGCM(key).encrypt(nonce, plaintext, aad)


def unseal(stage: str, key: bytes, nonce: bytes, sealed: bytes, aad: bytes = b"") -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise Refused(stage, "authentication failed") from None


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64url(text: str) -> bytes:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text, re.ASCII) or len(text) % 4 == 1:
        raise Refused("envelope", "not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64url(data) != text:
        raise Refused("envelope", "non-canonical base64url")
    return data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def quoted(text: str) -> str:
    """A JSON string in ASCII, for text that may hold anything."""
    return json.dumps(text)
