"""AES-256-GCM under a key that seals exactly one message, so that the nonce may be zero.

Every key that comes here was derived with a fresh random salt; the caller must never seal
twice with one.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sseproxy.errors import IntegrityError
from sseproxy.secret import Secret

_ZERO_NONCE = bytes(12)


def seal_once(key: Secret, plain: bytes, aad: bytes) -> bytes:
    """Seal the one message of a key: ciphertext followed by the 16-byte tag (section 1, GCM)."""
    return AESGCM(key.reveal()).encrypt(_ZERO_NONCE, plain, aad)


def open_once(key: Secret, sealed: bytes, aad: bytes, *, reason: str, what: str) -> bytes:
    """Open what `seal_once` made; IntegrityError(reason), naming `what`, if it does not verify."""
    try:
        return AESGCM(key.reveal()).decrypt(_ZERO_NONCE, sealed, aad)
    except InvalidTag:
        raise IntegrityError(reason, f"{what} failed authentication") from None
