"""What differs between the dialects of server-side encryption: names, values and faults.

protocol.md 1.1, 1.3 (COS) and 3.1, 3.4 (S3). `sse` reads this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from sseproxy.s3.faults import Fault
from sseproxy.s3.request import Dialect

_SUFFIX = "server-side-encryption"
_COPY_SUFFIX = "copy-source-server-side-encryption"
_SSE_PREFIXES = tuple(
    dialect.prefix + suffix for dialect in Dialect for suffix in (_SUFFIX, _COPY_SUFFIX)
)


class SseMode(Enum):
    """Who holds the key. The value is the metrics' label and the YAML's word."""

    NONE = "none"
    SSE_COS = "sse-cos"
    SSE_KMS = "sse-kms"
    SSE_C = "sse-c"


@dataclass(frozen=True, slots=True)
class Names:
    """One dialect: header names, values of the mode header, and the faults that differ."""

    mode: str
    key_id: str
    context: str
    bucket_key: str | None
    values: Mapping[str, SseMode]
    kms: str
    bad_value: Fault
    bad_algorithm: Fault
    not_on_read: Fault
    key_missing: Fault
    key_wrong: Fault

    def customer(self, *, copy_source: bool = False) -> tuple[str, str, str]:
        """Names of algorithm, key and MD5."""
        return _customer_names(
            self.mode.replace(_SUFFIX, _COPY_SUFFIX) if copy_source else self.mode
        )


@lru_cache(maxsize=8)
def _customer_names(stem: str) -> tuple[str, str, str]:
    return f"{stem}-customer-algorithm", f"{stem}-customer-key", f"{stem}-customer-key-md5"


DIALECTS = {
    Dialect.S3: Names(
        mode="x-amz-server-side-encryption",
        key_id="x-amz-server-side-encryption-aws-kms-key-id",
        context="x-amz-server-side-encryption-context",
        bucket_key="x-amz-server-side-encryption-bucket-key-enabled",
        values={
            "AES256": SseMode.SSE_COS,
            "aws:kms": SseMode.SSE_KMS,
            "aws:kms:dsse": SseMode.SSE_KMS,
        },
        kms="aws:kms",
        bad_value=Fault.InvalidArgument,
        bad_algorithm=Fault.InvalidEncryptionAlgorithmError,
        not_on_read=Fault.InvalidArgument,
        key_missing=Fault.InvalidRequest,
        key_wrong=Fault.AccessDenied,
    ),
    Dialect.COS: Names(
        mode="x-cos-server-side-encryption",
        key_id="x-cos-server-side-encryption-cos-kms-key-id",
        context="x-cos-server-side-encryption-context",
        bucket_key=None,
        values={"AES256": SseMode.SSE_COS, "cos/kms": SseMode.SSE_KMS},
        kms="cos/kms",
        bad_value=Fault.SSEContentNotSupported,
        bad_algorithm=Fault.InvalidArgument,
        not_on_read=Fault.SSEHeaderNotAllowed,
        key_missing=Fault.SsecDecryptHeaderInvalid,
        key_wrong=Fault.SsecDecryptHeaderInvalid,
    ),
}


@lru_cache(maxsize=1024)
def is_sse_header(name: str) -> bool:
    """Whether a header, form field or query name is either dialect's SSE: never for the store."""
    return name.lower().startswith(_SSE_PREFIXES)


def dialect_of(headers: Mapping[str, str]) -> Dialect:
    """COS if any header (lower-case names) is COS's own, else S3."""
    return Dialect.COS if any(map(is_cos_header, headers)) else Dialect.S3


@lru_cache(maxsize=1024)
def is_cos_header(name: str) -> bool:
    """Whether a lower-case header name is COS's own."""
    return name.startswith(Dialect.COS.prefix)
