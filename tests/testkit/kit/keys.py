"""Sections 2 and 4.1: what a reader holds, and what is derived from it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.testkit.kit.notation import hkdf, lp, u32


@dataclass(frozen=True)
class Keys:
    """What a reader holds: keyring versions, and what KMS, WK or client brought to the request."""

    attribute: Mapping[int, bytes] = field(default_factory=dict)
    master: Mapping[int, bytes] = field(default_factory=dict)
    upper: bytes | None = None
    customer: bytes | None = None


def pepper(ak: bytes) -> bytes:
    return hkdf(ak, b"", "pepper")


def customer_upper_key(customer: bytes, ak: bytes) -> bytes:
    return hkdf(customer, pepper(ak), "sse-c")


def verifier(customer: bytes, ak: bytes, envelope_salt: bytes) -> bytes:
    key = hkdf(pepper(ak), envelope_salt, "verifier")
    return hmac.digest(key, customer, "sha256")


def commitment(dek: bytes) -> bytes:
    return hkdf(dek, b"", "commit")[:16]


def random_etag(etag_key: bytes, data_id: bytes) -> bytes:
    return hmac.digest(etag_key, lp("sseproxy/v1/etag", data_id), "sha256")[:16]


def part_etag(etag_key: bytes, data_id: bytes, part_salt: bytes) -> bytes:
    return hmac.digest(etag_key, lp("sseproxy/v1/etag", data_id, part_salt), "sha256")[:16]


def composite_etag(etags: Sequence[bytes]) -> bytes:
    return hashlib.md5(b"".join(etags), usedforsecurity=False).digest() + u32(len(etags))


def root_id(root: bytes) -> bytes:
    return hkdf(root, b"", "root-id")[:4]
