"""Keys and values derived for SSE-C, and the ETags that are not the digest of some data."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence

from sseproxy.format.header import MAX_PART_NUMBER
from sseproxy.format.names import hkdf, lp
from sseproxy.secret import Secret

_ETAG_BYTES = 16


def customer_upper_key(customer: Secret, ak: Secret) -> Secret:
    """The upper key of mode SSE-C (section 2).

    ak: the version that the envelope names.
    """
    return hkdf(customer, _pepper(ak).reveal(), "sseproxy/v1/sse-c")


def verifier(customer: Secret, ak: Secret, envelope_salt: bytes) -> bytes:
    """The 32 bytes by which a customer key is recognised (section 4.1).

    Compare in constant time; keep it inside the sealed attributes only.
    """
    key = hkdf(_pepper(ak), envelope_salt, "sseproxy/v1/verifier")
    return hmac.digest(key.reveal(), customer.reveal(), "sha256")


def random_etag(etag_key: Secret, data_id: bytes) -> bytes:
    """The 16-byte ETag of SSE-KMS and SSE-C objects, no digest of their data (section 4.1)."""
    return _keyed_etag(etag_key, data_id)


def random_part_etag(etag_key: Secret, data_id: bytes, part_salt: bytes) -> bytes:
    """The 16-byte ETag of a part under SSE-KMS and SSE-C (section 4.1)."""
    return _keyed_etag(etag_key, data_id, part_salt)


def composite_etag(part_etags: Sequence[bytes]) -> bytes:
    """The 20-byte ETag of a multipart object, from its parts' in order (section 4.1).

    ValueError unless there are 1 to 10,000 of 16 bytes each.
    """
    if not 1 <= len(part_etags) <= MAX_PART_NUMBER:
        raise ValueError(f"an object has 1 to {MAX_PART_NUMBER} parts, not {len(part_etags)}")
    if any(len(etag) != _ETAG_BYTES for etag in part_etags):
        raise ValueError("the ETag of a part has 16 bytes")
    joined = hashlib.md5(b"".join(part_etags), usedforsecurity=False).digest()
    return joined + struct.pack(">I", len(part_etags))


def _keyed_etag(etag_key: Secret, *items: bytes) -> bytes:
    info = lp("sseproxy/v1/etag", *items)
    return hmac.digest(etag_key.reveal(), info, "sha256")[:_ETAG_BYTES]


def _pepper(ak: Secret) -> Secret:
    return hkdf(ak, b"", "sseproxy/v1/pepper")
