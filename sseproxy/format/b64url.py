"""base64url without padding, in its one canonical form (section 1)."""

from __future__ import annotations

import base64


def encode(data: bytes) -> str:
    """The bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The inverse of `encode`; ValueError, to be read after "is", for any other text."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise ValueError("not base64url") from None
    # The decoder skips foreign characters and ignores trailing bits; the encoder knows one form.
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
