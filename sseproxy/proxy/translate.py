"""What a failure is to the client: one table from the exception tree to S3's errors."""

from __future__ import annotations

from sseproxy.errors import (
    ConfigError,
    CustomerKeyMissing,
    CustomerKeyWrong,
    FormatError,
    KeyManagementError,
    KeyringStale,
    KeyUnavailable,
    ManifestMissing,
    RecordConflict,
    SseProxyError,
    StoreCut,
    StoreError,
    StoreProtocolError,
    StoreUnavailable,
)
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import customer_key_missing, customer_key_wrong

# The first class that fits decides, so special cases stand before their base.
TABLE: tuple[tuple[type[BaseException], Fault, str | None], ...] = (
    (KeyringStale, Fault.ServiceUnavailable, "The keys are not fresh enough to write with."),
    (KeyUnavailable, Fault.InternalError, "A key that this object needs is not available."),
    (KeyManagementError, Fault.InternalError, None),
    (ManifestMissing, Fault.InternalError, "The manifest of this multipart object is missing."),
    (FormatError, Fault.InternalError, "The stored object failed its integrity check."),
    (StoreUnavailable, Fault.ServiceUnavailable, "The object store does not answer."),
    (StoreProtocolError, Fault.ServiceUnavailable, "The object store's answer makes no sense."),
    (StoreCut, Fault.ServiceUnavailable, "The object store's answer was cut short."),
    (StoreError, Fault.ServiceUnavailable, "The object store failed."),
    (RecordConflict, Fault.ServiceUnavailable, None),
    (ConfigError, Fault.InternalError, None),
    (SseProxyError, Fault.InternalError, None),
    (ConnectionError, Fault.IncompleteBody, None),
)


def to_s3_error(error: BaseException, dialect: Dialect) -> S3Error:
    """The S3 error for any failure. What is in no table is an internal error without details."""
    if isinstance(error, S3Error):
        return error
    if isinstance(error, CustomerKeyMissing):
        return customer_key_missing(dialect)
    if isinstance(error, CustomerKeyWrong):
        return customer_key_wrong(dialect)
    for kind, fault, message in TABLE:
        if isinstance(error, kind):
            return S3Error(fault, message)
    return S3Error(Fault.InternalError)
