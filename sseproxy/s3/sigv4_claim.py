"""What a request says about its AWS Signature Version 4, in header or query (protocol.md 3.2).

`claims` decides that a request carries this signature; `sigv4` verifies the claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import unquote_plus

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import RequestHead

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MAX_EXPIRES_S = 7 * 24 * 3600
DATE_FORMAT = "%Y%m%dT%H%M%SZ"

_QUERY_FIELDS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)


@dataclass(slots=True)
class SigV4Claim:
    """What a request says about its signature; nothing of it is verified yet.

    date: yyyymmdd of the scope. amz_date: yyyymmddThhmmssZ. expires_s: of a presigned request,
    else None. payload_hash: as x-amz-content-sha256 has it, UNSIGNED-PAYLOAD if presigned
    without one.
    """

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)
    amz_date: str
    presigned: bool
    expires_s: int | None
    payload_hash: str
    session_token: str | None = field(repr=False)


def from_header(headers: Mapping[str, str], parameters: str) -> SigV4Claim:
    """The claim of an Authorization header; parameters: what follows the algorithm.

    Raises S3Error: AuthorizationHeaderMalformed, AccessDenied (no usable date), InvalidRequest
    (no payload hash).
    """
    parts = dict[str, str]()
    for item in parameters.split(","):
        name, _, value = item.strip().partition("=")
        if name in parts:
            raise S3Error(Fault.AuthorizationHeaderMalformed)
        parts[name] = value
    if parts.keys() != {"Credential", "SignedHeaders", "Signature"}:
        raise S3Error(Fault.AuthorizationHeaderMalformed)
    amz_date = headers.get("x-amz-date") or from_http_date(headers.get("date", ""))
    try:
        parse_date(amz_date)
    except ValueError:
        raise S3Error(
            Fault.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header"
        ) from None
    payload_hash = headers.get("x-amz-content-sha256")
    if not payload_hash:
        raise S3Error(
            Fault.InvalidRequest, "Missing required header for this request: x-amz-content-sha256"
        )
    return _claim(
        parts["Credential"],
        parts["SignedHeaders"],
        parts["Signature"],
        amz_date,
        payload_hash,
        headers.get("x-amz-security-token"),
        Fault.AuthorizationHeaderMalformed,
    )


def from_query(head: RequestHead) -> SigV4Claim:
    """The claim of a pre-signed request. Raises S3Error(AuthorizationQueryParametersError)."""
    query, fault = head.query, Fault.AuthorizationQueryParametersError
    names = [unquote_plus(pair.partition("=")[0]) for pair in head.raw_query.split("&")]
    guarded = [name for name in names if name.lower().startswith(("x-amz-", "x-cos-"))]
    if len(guarded) != len(set(guarded)) or not all(query.get(name) for name in _QUERY_FIELDS):
        raise S3Error(
            fault,
            f"Query-string authentication version 4 requires the {', '.join(_QUERY_FIELDS)} "
            "parameters, each once.",
        )
    algorithm, credential, amz_date, expires, signed_headers, signature = (
        query[name] for name in _QUERY_FIELDS
    )
    if algorithm != ALGORITHM:
        raise S3Error(fault, f"X-Amz-Algorithm only supports {ALGORITHM}")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 9):
        raise S3Error(fault, "X-Amz-Expires should be a number of seconds")
    if not 1 <= int(expires) <= MAX_EXPIRES_S:
        raise S3Error(fault, f"X-Amz-Expires must be between 1 and {MAX_EXPIRES_S} seconds")
    try:
        parse_date(amz_date)
    except ValueError:
        raise S3Error(fault, "X-Amz-Date must have the form yyyyMMddTHHmmssZ") from None
    payload_hash = query.get("X-Amz-Content-Sha256") or UNSIGNED_PAYLOAD
    if "x-amz-content-sha256" in signed_headers.split(";"):
        payload_hash = head.headers.get("x-amz-content-sha256") or payload_hash
    token = query.get("X-Amz-Security-Token") or head.headers.get("x-amz-security-token")
    return _claim(
        credential, signed_headers, signature, amz_date, payload_hash, token, fault, int(expires)
    )


def _claim(
    credential: str,
    signed_headers: str,
    signature: str,
    amz_date: str,
    payload_hash: str,
    session_token: str | None,
    fault: Fault,
    expires_s: int | None = None,
) -> SigV4Claim:
    if not (signed_headers + signature + payload_hash).isascii():
        raise S3Error(fault)
    access_key, date, region, service = parse_credential(credential, amz_date, fault)
    return SigV4Claim(
        access_key=access_key,
        date=date,
        region=region,
        service=service,
        signed_headers=tuple(signed_headers.split(";")),
        signature=signature,
        amz_date=amz_date,
        presigned=expires_s is not None,
        expires_s=expires_s,
        payload_hash=payload_hash,
        session_token=session_token or None,
    )


def parse_credential(credential: str, amz_date: str, fault: Fault) -> tuple[str, str, str, str]:
    """(access key, date, region, service) of a Credential whose scope is S3's and of that day.

    Raises S3Error with the fault given.
    """
    scope = credential.rsplit("/", 4)
    # Only the region may be empty: clients of MinIO's admin API sign so.
    if len(scope) != 5 or not all(scope[:2] + scope[3:]) or scope[4] != "aws4_request":
        raise S3Error(
            fault,
            "The Credential is malformed; expecting "
            "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request.",
        )
    access_key, date, region, service, _ = scope
    if not credential.isascii():
        raise S3Error(fault)
    if service != "s3":
        raise S3Error(fault, "Incorrect service in the Credential; this endpoint belongs to s3.")
    if date != amz_date[:8]:
        raise S3Error(fault, "The date of the Credential is not the date of X-Amz-Date.")
    return access_key, date, region, service


@lru_cache(maxsize=64)
def parse_date(amz_date: str) -> datetime:
    """The time that yyyymmddThhmmssZ means. Raises ValueError for any other form."""
    # strptime is slow, and laxer than the format: it takes one-digit months.
    date, _, clock = amz_date.partition("T")
    digits = date + clock[:-1]
    if len(date) != 8 or len(clock) != 7 or clock[6] != "Z":
        raise ValueError("not yyyymmddThhmmssZ")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("not yyyymmddThhmmssZ")
    month, day, hour, minute, second = (int(digits[i : i + 2]) for i in range(4, 14, 2))
    return datetime(int(date[:4]), month, day, hour, minute, second, tzinfo=UTC)


def from_http_date(value: str) -> str:
    """An HTTP date as yyyymmddThhmmssZ; "" for what is none."""
    try:
        date = parsedate_to_datetime(value)
        # "-0000", which botocore sends, is UTC too but comes out naive (RFC 5322, 3.3).
        utc = date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):  # what malformed dates make it raise
        return ""
    return utc.strftime(DATE_FORMAT)
