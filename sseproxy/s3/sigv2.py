"""AWS Signature Version 2, verified for clients: in the header, and in a pre-signed query.

S3's "Signing and Authenticating REST Requests". It covers the method, Content-MD5, Content-Type,
the time, every `x-amz-` header, the path and the sub-resources; neither Host, body nor other
headers. Pre-signing moves headers into the query, where they are covered just so.

Nothing that the proxy signs for a store is a SigV2 signature, so the store can replay none. What
is not covered must not decide what is done: such a request is refused.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

from sseproxy.s3 import operation_routes as routes
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import RequestHead
from sseproxy.s3.sigv4 import check_host, check_skew
from sseproxy.s3.sigv4_claim import DATE_FORMAT, from_http_date, parse_date
from sseproxy.secret import Secret

_NAME = re.compile(r"[0-9A-Za-z._-]+")
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_REQUIRED = ("AWSAccessKeyId", "Signature", "Expires")
# Parameters of listings and configurations, which clients have never signed.
_UNSIGNED = {*" ".join(routes.OPTIONAL.values()).split(), *routes.VALUED, "id", "x-id"}
_SUB_RESOURCES = {
    name
    for line in routes.TABLE.strip().splitlines()
    for column in line.split()[2:4]
    for name in re.split("[&=]", column)
    if not name.startswith(("@", "-")) and not name.isdigit()
}
# What S3 lists as signed, and what clients sign beyond it.
SIGNED_QUERY = frozenset(
    (_SUB_RESOURCES - _UNSIGNED)
    | {"versionId", "select-type", "storageClass", "defaultObjectAcl"}
    | {f"response-content-{name}" for name in ("type", "language", "disposition", "encoding")}
    | {"response-expires", "response-cache-control"}
)
_AUTHENTICATION = {"awsaccesskeyid", "signature", "expires", "content-md5", "content-type"}
_NOT_IGNORED = (*map(str.lower, routes.PROCESSING), "x-cos-", routes.CHANGES_WRITES_PREFIX)


@dataclass(frozen=True, slots=True)
class SigV2Claim:
    """What a request says about its signature; nothing of it is verified yet.

    date_line: what is signed as the date ("" with x-amz-date). moment: when it was signed or,
    if presigned, when it expires.
    """

    access_key: str
    signature: str = field(repr=False)
    date_line: str
    moment: datetime
    presigned: bool
    session_token: str | None = field(repr=False)


def from_header(head: RequestHead, parameters: str) -> SigV2Claim:
    """The claim of `Authorization: AWS KEY:SIGNATURE`; parameters: what follows "AWS".

    Raises S3Error: InvalidArgument (malformed), AccessDenied (no usable date).
    """
    access_key, colon, signature = parameters.strip().rpartition(":")
    if not (access_key and colon and signature):
        raise S3Error(
            Fault.InvalidArgument,
            "AWS authorization header is invalid; expecting AwsAccessKeyId:signature.",
            ArgumentName="Authorization",
        )
    amz_date, date = head.headers.get("x-amz-date", ""), head.headers.get("date", "")
    moment = _moment(amz_date or date)
    if moment is None:
        raise S3Error(
            Fault.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header"
        )
    date_line = "" if amz_date else date
    return SigV2Claim(access_key, signature, date_line, moment, False, _session_token(head))


def from_query(head: RequestHead) -> SigV2Claim:
    """The claim of a pre-signed request. Raises S3Error(AccessDenied) if it is malformed."""
    access_key, signature, expires = (head.query.get(name, "") for name in _REQUIRED)
    if not (access_key and signature and expires):
        raise S3Error(
            Fault.AccessDenied,
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
            "parameters",
        )
    if not re.fullmatch("[0-9]{1,11}", expires):
        raise S3Error(Fault.AccessDenied, "Invalid date (should be seconds since epoch)")
    moment = datetime.fromtimestamp(int(expires), UTC)
    # A "+" that was not percent-encoded means a space in a query; base64 has none.
    signature = signature.replace(" ", "+")
    return SigV2Claim(access_key, signature, expires, moment, True, _session_token(head))


def verify(
    claim: SigV2Claim,
    head: RequestHead,
    secret: Secret,
    *,
    now: datetime,
    bucket_of_host: str | None = None,
    hosts_refused: Collection[str] = (),
    hosts_allowed: Collection[str] = (),
) -> None:
    """Check a claim against the secret of its access key.

    now: aware. bucket_of_host: the bucket that a virtual-host style request names in its Host.
    hosts_refused, hosts_allowed: as for SigV4, though here the Host is not signed. Raises S3Error:
    SignatureDoesNotMatch, RequestTimeTooSkewed, AccessDenied (expired, not covered, host).
    """
    _check_time(claim, now)
    check_host(head.host, hosts_refused, hosts_allowed)
    _check_covered(head)
    amz_headers = _amz_headers(head)
    lines = [
        head.method,
        _header(head, "content-md5"),
        _header(head, "content-type"),
        claim.date_line,
        *(f"{name}:{amz_headers[name]}" for name in sorted(amz_headers)),
    ]
    sent, to_sign = claim.signature.encode("utf-8", "replace"), ""
    for resource in _resources(head, bucket_of_host):
        to_sign = "\n".join([*lines, resource])
        # A server hands header bytes that are not UTF-8 over as surrogates: the same bytes again.
        if hmac.compare_digest(sign(secret, to_sign.encode("utf-8", "surrogateescape")), sent):
            return
    raise S3Error(
        Fault.SignatureDoesNotMatch,
        AWSAccessKeyId=claim.access_key,
        SignatureProvided=claim.signature,
        **({} if _holds_customer_key(amz_headers) else {"StringToSign": to_sign}),
    )


def sign(secret: Secret, to_sign: bytes) -> bytes:
    """The signature: base64 of HMAC-SHA1."""
    return base64.b64encode(hmac.digest(secret.reveal(), to_sign, "sha1"))


def _moment(text: str) -> datetime | None:
    """The time that an HTTP date means, or yyyymmddThhmmssZ, which newer clients send."""
    try:
        return parse_date(from_http_date(text) or text)
    except ValueError:
        return None


def _session_token(head: RequestHead) -> str | None:
    return _amz_headers(head).get("x-amz-security-token") or None


def _check_time(claim: SigV2Claim, now: datetime) -> None:
    if not claim.presigned:
        check_skew(claim.moment, claim.moment.strftime(DATE_FORMAT), now)
    elif now > claim.moment:
        raise S3Error(
            Fault.RequestExpired,
            Expires=claim.moment.strftime(DATE_FORMAT),
            ServerTime=now.strftime(DATE_FORMAT),
        )


def _check_covered(head: RequestHead) -> None:
    """Raise S3Error(AccessDenied) for what a third party could have added unnoticed."""
    names = [name for name in head.headers if name.startswith("x-cos-")]
    reading = head.method in ("GET", "HEAD")
    names += [
        name
        for name, value in head.query.items()
        if not _is_covered(name) and not (reading and _is_ignored(name, value))
    ]
    if names:
        raise S3Error(
            Fault.AccessDenied,
            "There were headers or parameters present in the request which Signature Version 2 "
            "does not cover; sign it with Version 4",
            HeadersNotSigned=", ".join(names),
        )


def _is_covered(name: str) -> bool:
    return (
        name in SIGNED_QUERY
        or name in _UNSIGNED
        or name.lower() in _AUTHENTICATION
        or name.lower().startswith("x-amz-")
    )


def _is_ignored(name: str, value: str) -> bool:
    """An unknown name with a value says nothing of what is read; one without is a sub-resource."""
    return bool(value) and not name.lower().startswith(_NOT_IGNORED)


def _amz_headers(head: RequestHead) -> Mapping[str, str]:
    """Every x-amz- header; what pre-signing moved into the query counts where no header does."""
    found = {
        lower: value.strip()
        for name, value in head.query.items()
        if (lower := name.lower()).startswith("x-amz-")
    }
    for name, value in found.items():
        # A line break would make two lines of one in what is signed.
        if not _NAME.fullmatch(name) or _NOT_IN_VALUE.search(value):
            raise S3Error(Fault.AccessDenied, "A header in the query is not a valid header.")
    return found | {n: value for n, value in head.headers.items() if n.startswith("x-amz-")}


def _header(head: RequestHead, name: str) -> str:
    moved = {lower: value for n, value in head.query.items() if (lower := n.lower()) == name}
    return head.headers.get(name, moved.get(name, "").strip())


def _resources(head: RequestHead, bucket_of_host: str | None) -> Iterator[str]:
    """The spellings of the canonical resource that clients sign; all of them mean the same."""
    path = head.raw_path if bucket_of_host is None else f"/{bucket_of_host}{head.raw_path}"
    paths = [path, quote(unquote_to_bytes(path), safe="/-_.~")]
    if path.count("/") == 1:
        paths.append(path + "/")  # a bucket in path style, as virtual-host style spells it
    items = sorted((name, value) for name, value in head.query.items() if name in SIGNED_QUERY)
    queries = ["&".join(f"{name}={value}" if value else name for name, value in items)]
    if any(not value for _, value in items):
        queries.append("&".join(f"{name}={value}" for name, value in items))
    for query in queries:
        for spelling in dict.fromkeys(paths):
            yield f"{spelling}?{query}" if query else spelling


def _holds_customer_key(amz_headers: Mapping[str, str]) -> bool:
    # Unlike SigV4's, this string to sign has the values themselves.
    return any(name.endswith(("-customer-key", "-security-token")) for name in amz_headers)
