"""Keys and values derived for SSE-C, and the ETag of objects whose ETag is no digest."""

from __future__ import annotations

import hmac

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
    info = lp("sseproxy/v1/etag", data_id)
    return hmac.digest(etag_key.reveal(), info, "sha256")[:_ETAG_BYTES]


def _pepper(ak: Secret) -> Secret:
    return hkdf(ak, b"", "sseproxy/v1/pepper")
