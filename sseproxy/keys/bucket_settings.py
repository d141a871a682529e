"""What is set for a bucket by API: default encryption, and what a policy says of encryption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sseproxy.s3.bucket_encryption import BucketEncryption
from sseproxy.s3.bucket_policy import BucketPolicyDocument, parse_bucket_policy
from sseproxy.s3.faults import S3Error
from sseproxy.s3.sse_names import SseMode

_FIELDS = {"encryption", "epoch", "pending", "policies"}
_ENCRYPTION = {"blocks_sse_c", "bucket_key", "key_id", "mode"}


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """One bucket's entry in the settings index (format.md 5.1).

    encryption: set by PutBucketEncryption, or None. policies: documents with conditions on
    encryption that a write must meet, all of them: more than one only while one replaces another.
    pending: unix seconds at which such a change began, 0 if there is none. epoch: of the settings
    with which the entry last changed, so that a later entry is never taken for this one.
    """

    encryption: BucketEncryption | None = None
    policies: tuple[BucketPolicyDocument, ...] = ()
    pending: int = 0
    epoch: int = 0

    @property
    def says_anything(self) -> bool:
        """Whether it has to be kept."""
        return replace(self, epoch=0) != BucketSettings()

    @property
    def blocks_sse_c(self) -> bool:
        """Whether new SSE-C writes are refused."""
        return self.encryption is not None and self.encryption.blocks_sse_c


def encode_bucket(settings: BucketSettings) -> dict[str, Any]:
    """The entry as JSON values."""
    encryption = settings.encryption
    return {
        "encryption": encryption
        and {
            "blocks_sse_c": encryption.blocks_sse_c,
            "bucket_key": encryption.bucket_key,
            "key_id": encryption.key_id,
            "mode": encryption.mode.value,
        },
        "epoch": settings.epoch,
        "pending": settings.pending,
        "policies": [policy.text for policy in settings.policies],
    }


def decode_bucket(name: str, entry: Mapping[str, Any]) -> BucketSettings:
    """The reverse; ValueError or TypeError for anything that this version does not write."""
    if set(entry) != _FIELDS:
        raise ValueError("unknown fields")
    numbers = (entry["epoch"], entry["pending"])
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("epoch or pending")
    if not isinstance(entry["policies"], list):
        raise ValueError("policies")
    return BucketSettings(
        encryption=_decode_encryption(entry["encryption"]),
        policies=tuple(_decode_policy(name, text) for text in entry["policies"]),
        epoch=entry["epoch"],
        pending=entry["pending"],
    )


def _decode_encryption(entry: Any) -> BucketEncryption | None:
    if entry is None:
        return None
    if set(entry) != _ENCRYPTION:
        raise ValueError("unknown fields")
    mode, key_id = SseMode(entry["mode"]), entry["key_id"]
    flags = (entry["bucket_key"], entry["blocks_sse_c"])
    if (
        mode not in (SseMode.SSE_COS, SseMode.SSE_KMS)
        or not (key_id is None or isinstance(key_id, str))
        or not all(isinstance(flag, bool) for flag in flags)
    ):
        raise ValueError("encryption")
    return BucketEncryption(mode, key_id, *flags)


def _decode_policy(bucket: str, text: Any) -> BucketPolicyDocument:
    if not isinstance(text, str):
        raise ValueError("a policy that is no text")
    try:
        policy = parse_bucket_policy(text, bucket)
    except S3Error:
        policy = None
    if policy is None:
        # Written by a version that can hold requests to more than this one.
        raise ValueError("a policy that is not understood")
    return policy
