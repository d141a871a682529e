"""Server-side encryption headers of both dialects: requests in, answers out.

What differs between the dialects is in `sse_names`; the checks and their order are
protocol.md 3.4 (S3) and 1.3 (COS). No message repeats a value that a client sent: it may be a
key in the wrong place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse_names import DIALECTS, Names, SseMode, dialect_of, is_sse_header
from sseproxy.secret import Secret

__all__ = [
    "CustomerKey",
    "SseMode",
    "SseRequest",
    "customer_key_missing",
    "customer_key_not_applicable",
    "customer_key_wrong",
    "dialect_of",
    "hoisted_headers",
    "is_sse_header",
    "parse_copy_source",
    "parse_read",
    "parse_write",
    "response_headers",
]

CUSTOMER_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """A checked customer key: 32 bytes, and base64 of their MD5 as answers repeat it."""

    key: Secret
    md5_b64: str


@dataclass(frozen=True, slots=True)
class SseRequest:
    """What a write asks for. mode None: nothing, so the bucket's default decides.

    algorithm: as sent ("AES256", "aws:kms", "aws:kms:dsse", "cos/kms"). context: base64 of
    JSON, as sent. bucket_key: None if not said.
    """

    mode: SseMode | None
    dialect: Dialect
    algorithm: str | None = None
    customer: CustomerKey | None = None
    kms_key_id: str | None = None
    context: str | None = field(default=None, repr=False)
    bucket_key: bool | None = None


_ASKS_NOTHING = {dialect: SseRequest(mode=None, dialect=dialect) for dialect in Dialect}


def hoisted_headers(query: Mapping[str, str]) -> dict[str, str]:
    """SSE headers that S3's V2 pre-signing moved into the query, by lower-case name.

    Raises S3Error(InvalidArgument) for COS's: they can't be asked for there (semantics.md).
    """
    found = {name.lower(): value for name, value in query.items() if is_sse_header(name)}
    if any(name.startswith(Dialect.COS.prefix) for name in found):
        raise S3Error(
            Fault.InvalidArgument,
            "Server-side encryption can't be asked for in the query; send it as a header.",
            ArgumentName=DIALECTS[Dialect.COS].mode,
        )
    return found


def parse_write(
    headers: Mapping[str, str], *, secure: bool, allow_insecure_ssec: bool
) -> SseRequest:
    """What headers or form fields (lower-case names) of a write ask for.

    secure: the client used TLS; without it SSE-C is refused unless allow_insecure_ssec.
    Raises S3Error by protocol.md 3.4 and 1.3.
    """
    if not any(map(is_sse_header, headers)):
        return _ASKS_NOTHING[dialect_of(headers)]
    dialect = _sse_dialect(headers)
    names = DIALECTS[dialect]
    customer_sent = any(name in headers for name in names.customer())
    if customer_sent:
        _require_secure(names, secure=secure or allow_insecure_ssec)
    value = headers.get(names.mode)
    if customer_sent and value is not None:
        raise _argument(
            names,
            Fault.InvalidArgument,
            "Server-side encryption with a customer key is incompatible with the encryption "
            "method specified.",
        )
    mode = None if value is None else _mode(names, value)
    _check_kms_fields(names, headers, mode)
    customer = _customer(headers, names, names.customer())
    return SseRequest(
        mode=SseMode.SSE_C if customer is not None else mode,
        dialect=dialect,
        algorithm="AES256" if customer is not None else value,
        customer=customer,
        kms_key_id=headers.get(names.key_id),
        context=headers.get(names.context),
        bucket_key=_bucket_key(names, headers),
    )


def parse_read(
    headers: Mapping[str, str], *, secure: bool, allow_insecure_ssec: bool
) -> CustomerKey | None:
    """The customer key of a GET, HEAD, UploadPart, ...; None if none was sent.

    Raises S3Error as `parse_write`, and for a header that chooses a mode.
    """
    if not any(map(is_sse_header, headers)):
        return None
    names = DIALECTS[_sse_dialect(headers)]
    if any(name in headers for name in (names.mode, names.key_id, names.context)):
        raise _argument(
            names,
            names.not_on_read,
            f"The {names.mode} header is not supported for this operation.",
        )
    return _guarded(headers, names, names.customer(), secure=secure or allow_insecure_ssec)


def parse_copy_source(
    headers: Mapping[str, str], *, secure: bool, allow_insecure_ssec: bool
) -> CustomerKey | None:
    """The customer key of a copy's source; None if none was sent. Raises as `parse_write`."""
    if not any(map(is_sse_header, headers)):
        return None
    names = DIALECTS[_sse_dialect(headers)]
    trio = names.customer(copy_source=True)
    return _guarded(headers, names, trio, secure=secure or allow_insecure_ssec)


def response_headers(
    mode: SseMode,
    dialect: Dialect,
    *,
    customer_md5: str | None = None,
    kms_key_id: str | None = None,
    context: str | None = None,
    bucket_key: bool = False,
    dsse: bool = False,
) -> dict[str, str]:
    """What an answer says of an object's mode, in the caller's dialect (protocol.md 1.1, 3.1).

    context and bucket_key are S3's alone; customer_md5 is base64.
    """
    names = DIALECTS[dialect]
    algorithm_name, _, md5_name = names.customer()
    s3 = dialect is Dialect.S3
    headers: dict[str, str | None] = {}
    if mode is SseMode.SSE_COS:
        headers[names.mode] = "AES256"
    elif mode is SseMode.SSE_C:
        headers |= {algorithm_name: "AES256", md5_name: customer_md5}
    elif mode is SseMode.SSE_KMS:
        headers[names.mode] = "aws:kms:dsse" if dsse and s3 else names.kms
        headers[names.key_id] = kms_key_id
        if s3:
            headers[names.context] = context
        if names.bucket_key is not None and bucket_key:
            headers[names.bucket_key] = "true"
    return {name: value for name, value in headers.items() if value is not None}


def customer_key_missing(dialect: Dialect) -> S3Error:
    """The answer when an SSE-C object is read or copied without its key."""
    return S3Error(
        DIALECTS[dialect].key_missing,
        "The object was stored using a form of server-side encryption. The correct parameters "
        "must be provided to retrieve the object.",
    )


def customer_key_wrong(dialect: Dialect) -> S3Error:
    """The answer when an SSE-C object is read or copied with another key."""
    return S3Error(
        DIALECTS[dialect].key_wrong,
        "The correct secret key must be provided to retrieve the object.",
    )


def customer_key_not_applicable() -> S3Error:
    """The answer when a customer key comes with a read of an object that has none."""
    return S3Error(
        Fault.InvalidRequest,
        "The encryption parameters are not applicable to this object.",
    )


def _sse_dialect(headers: Mapping[str, str]) -> Dialect:
    used = {
        dialect
        for dialect in Dialect
        for name in headers
        if is_sse_header(name) and name.startswith(dialect.prefix)
    }
    if len(used) > 1:
        raise S3Error(
            Fault.InvalidArgument,
            "Server-side encryption is asked for with both x-amz- and x-cos- headers.",
        )
    return used.pop() if used else dialect_of(headers)


def _mode(names: Names, value: str) -> SseMode:
    mode = names.values.get(value)
    if mode is not None:
        return mode
    message = "The encryption method specified is not supported."
    if value == "SM4":
        message = "SM4 is not supported; the encryption method must be AES256 or " + names.kms + "."
    raise _argument(names, names.bad_value, message)


def _check_kms_fields(names: Names, headers: Mapping[str, str], mode: SseMode | None) -> None:
    for name in (names.key_id, names.context):
        if name in headers and mode is not SseMode.SSE_KMS:
            raise _argument(
                names,
                Fault.InvalidArgument,
                f"{name} requires the header {names.mode} to be {names.kms}.",
            )
    if names.context in headers and not _is_context(headers[names.context]):
        raise _argument(
            names,
            Fault.InvalidArgument,
            f"{names.context} must be base64 of a JSON object with string values.",
        )


def _is_context(value: str) -> bool:
    try:
        context = json.loads(base64.b64decode(value, validate=True))
    except (ValueError, RecursionError):
        return False
    return isinstance(context, dict) and all(isinstance(item, str) for item in context.values())


def _bucket_key(names: Names, headers: Mapping[str, str]) -> bool | None:
    if names.bucket_key is None or names.bucket_key not in headers:
        return None
    choice = {"true": True, "false": False}.get(headers[names.bucket_key].lower())
    if choice is None or (choice and headers.get(names.mode) == "aws:kms:dsse"):
        raise S3Error(
            Fault.InvalidArgument,
            f"{names.bucket_key} must be true or false, and not true with aws:kms:dsse.",
            ArgumentName=names.bucket_key,
        )
    return choice


def _guarded(
    headers: Mapping[str, str], names: Names, trio: tuple[str, str, str], *, secure: bool
) -> CustomerKey | None:
    if any(name in headers for name in trio):
        _require_secure(names, secure=secure)
    return _customer(headers, names, trio)


def _require_secure(names: Names, *, secure: bool) -> None:
    if not secure:
        raise _argument(
            names,
            Fault.InvalidRequest,
            "Requests specifying server-side encryption with customer provided keys must be "
            "made over a secure connection.",
        )


def _customer(
    headers: Mapping[str, str], names: Names, trio: tuple[str, str, str]
) -> CustomerKey | None:
    """Rows 2 to 7 of protocol.md 3.4, in this order."""
    algorithm, key_b64, md5_b64 = (headers.get(name) for name in trio)
    if algorithm is None and key_b64 is None and md5_b64 is None:
        return None
    prefix = "Requests specifying server-side encryption with customer provided keys must provide "
    if algorithm is None:
        raise _argument(names, Fault.InvalidArgument, prefix + "a valid encryption algorithm.")
    if algorithm != "AES256":
        message = "The customer encryption algorithm is not valid. The supported value is AES256."
        raise _argument(names, names.bad_algorithm, message)
    if key_b64 is None:
        raise _argument(names, Fault.InvalidArgument, prefix + "an appropriate secret key.")
    key = _decode_key(key_b64)
    if key is None:
        message = "The secret key was invalid for the specified algorithm."
        raise _argument(names, Fault.InvalidArgument, message)
    if md5_b64 is None:
        message = prefix + "the MD5 of the secret key."
        raise _argument(names, Fault.InvalidArgument, message)
    calculated = base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest())
    if not hmac.compare_digest(calculated, md5_b64.encode(errors="replace")):
        message = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise _argument(names, Fault.InvalidArgument, message)
    return CustomerKey(Secret(key), calculated.decode())


def _decode_key(key_b64: str) -> bytes | None:
    try:
        key = base64.b64decode(key_b64, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == CUSTOMER_KEY_BYTES else None


def _argument(names: Names, fault: Fault, message: str) -> S3Error:
    fields = {"ArgumentName": names.mode} if fault is Fault.InvalidArgument else {}
    return S3Error(fault, message, **fields)
