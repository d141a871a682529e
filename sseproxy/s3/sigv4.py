"""AWS Signature Version 4, both ways: verified for clients, made for the store (protocol.md 3.2).

`claims.parse_claim` reads what a request says of itself; `verify` checks it once the caller has
looked up the secret.

S3's canonical URI is the path as the client encoded it, encoded once and not normalised. Nearly
every client sends what it signed, so the wire form is tried first and nothing is decoded. Some
send another spelling than they sign ("+" in a path signed as "%2B", lower-case hex, a raw "/" in
a query value); then the canonical re-encoding of path and query is tried. Every spelling decodes
to the same key and parameters, so what is accepted is what was signed.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import RequestHead, encode_query
from sseproxy.s3.sigv4_claim import (
    ALGORITHM,
    DATE_FORMAT,
    UNSIGNED_PAYLOAD,
    SigV4Claim,
    parse_date,
)
from sseproxy.secret import Secret

__all__ = [
    "UNSIGNED_PAYLOAD",
    "ChunkSigner",
    "RequestSigner",
    "SigV4Claim",
    "check_host",
    "check_skew",
    "signing_key",
    "verify",
]

EMPTY_SHA256 = sha256(b"").hexdigest()
MAX_SKEW = timedelta(minutes=15)

_GUARDED = frozenset({"x-amz-", "x-cos-"})


def verify(
    claim: SigV4Claim,
    head: RequestHead,
    secret: Secret,
    *,
    now: datetime,
    hosts_refused: Collection[str] = (),
    hosts_allowed: Collection[str] = (),
) -> ChunkSigner:
    """Check a claim against the secret of its access key; the signer is for the body's chunks.

    now: aware. hosts_refused, hosts_allowed: "host" or "host:port", meant with their subdomains
    (virtual-host style); an empty hosts_allowed allows any. The body is not looked at: the caller
    compares it with claim.payload_hash. Raises S3Error: SignatureDoesNotMatch,
    RequestTimeTooSkewed, AccessDenied (expired, not valid yet, unsigned headers, host).
    """
    _check_time(claim, now)
    _check_headers(claim, head, hosts_refused, hosts_allowed)
    key = signing_key(secret, claim.date, claim.region, claim.service)
    scope = f"{claim.date}/{claim.region}/{claim.service}/aws4_request"
    to_sign = ""
    for path, query in _spellings(claim, head):
        canonical = _canonical(
            head.method, path, query, head.headers, claim.signed_headers, claim.payload_hash
        )
        to_sign = f"{ALGORITHM}\n{claim.amz_date}\n{scope}\n{sha256(canonical).hexdigest()}"
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        if hmac.compare_digest(signature, claim.signature):
            return ChunkSigner(key, scope, claim.amz_date, signature)
    # Not the canonical request, which S3 gives too: it may hold a customer key.
    raise S3Error(
        Fault.SignatureDoesNotMatch,
        AWSAccessKeyId=claim.access_key,
        StringToSign=to_sign,
        SignatureProvided=claim.signature,
    )


def _check_time(claim: SigV4Claim, now: datetime) -> None:
    age = now - parse_date(claim.amz_date)
    if claim.expires_s is None:
        check_skew(parse_date(claim.amz_date), claim.amz_date, now)
    elif -age > MAX_SKEW:
        raise S3Error(
            Fault.AccessDenied, "Request is not valid yet", ServerTime=now.strftime(DATE_FORMAT)
        )
    elif age.total_seconds() > claim.expires_s:
        expires = {"X-Amz-Expires": str(claim.expires_s)}
        raise S3Error(Fault.RequestExpired, **expires, ServerTime=now.strftime(DATE_FORMAT))


def _check_headers(
    claim: SigV4Claim, head: RequestHead, refused: Collection[str], allowed: Collection[str]
) -> None:
    signed = claim.signed_headers
    unsigned = [
        name
        for name in head.headers
        if name[:6] in _GUARDED and name not in signed and not _covered(claim, head, name)
    ]
    if "host" not in signed:
        unsigned.append("host")
    if unsigned:
        raise S3Error(
            Fault.AccessDenied,
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(unsigned),
        )
    check_host(head.host, refused, allowed)


def check_skew(moment: datetime, as_sent: str, now: datetime) -> None:
    """Raise S3Error(RequestTimeTooSkewed) if clocks differ by more than 15 minutes, either way."""
    if abs(now - moment) > MAX_SKEW:
        raise S3Error(
            Fault.RequestTimeTooSkewed,
            RequestTime=as_sent,
            ServerTime=now.strftime(DATE_FORMAT),
            MaxAllowedSkewMilliseconds=str(MAX_SKEW // timedelta(milliseconds=1)),
        )


def check_host(host: str, refused: Collection[str], allowed: Collection[str]) -> None:
    """Raise S3Error(AccessDenied) for a Host that is the store's, or not one of the proxy's."""
    if (refused and _is_one_of(host, refused)) or (allowed and not _is_one_of(host, allowed)):
        raise S3Error(Fault.AccessDenied, "The request was signed for another host.")


def _covered(claim: SigV4Claim, head: RequestHead, name: str) -> bool:
    # What is signed contains these values themselves, listed among the headers or not.
    if name == "x-amz-content-sha256":
        return head.headers[name] == claim.payload_hash
    return name == "x-amz-date" and not claim.presigned


def _is_one_of(host: str, names: Collection[str]) -> bool:
    bare = _bare_host(host)
    return any(bare == name or bare.endswith("." + name) for name in map(_bare_host, names))


@lru_cache(maxsize=256)
def _bare_host(host: str) -> str:
    return host.lower().removesuffix(":80").removesuffix(":443").removesuffix(".")


def _spellings(claim: SigV4Claim, head: RequestHead) -> Iterator[tuple[str, str]]:
    # Lazily: all but the first are worked out only for a signature that does not match it.
    path = head.raw_path or "/"
    query = _sorted_query(head.raw_query, claim.presigned)
    yield path, query
    canonical_path = _recode(path, "/-_.~")
    canonical_query = _sorted_query(
        "&".join(
            "=".join(_recode(text.replace("+", " "), "-_.~") for text in pair.split("=", 1))
            for pair in head.raw_query.split("&")
            if pair
        ),
        claim.presigned,
    )
    if canonical_query != query:
        yield path, canonical_query
    if canonical_path != path:
        yield canonical_path, query
        if canonical_query != query:
            yield canonical_path, canonical_query


def _recode(text: str, safe: str) -> str:
    return quote(unquote_to_bytes(text), safe=safe)


def _sorted_query(raw_query: str, presigned: bool) -> str:
    if not raw_query:
        return ""
    pairs = sorted(pair.partition("=") for pair in raw_query.split("&"))
    if presigned:
        pairs = [pair for pair in pairs if pair[0] != "X-Amz-Signature"]
    return "&".join([f"{name}={value}" for name, _, value in pairs])


def _canonical(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    signed_headers: Sequence[str],
    payload_hash: str,
) -> bytes:
    lines = [method, path, query]
    try:
        for name in signed_headers:
            value = headers[name]
            if "  " in value or "\t" in value:
                value = " ".join(value.split())
            lines.append(f"{name}:{value}")
        lines += ("", ";".join(signed_headers), payload_hash)
        # A server hands header bytes that are not UTF-8 over as surrogates: the same bytes again.
        return "\n".join(lines).encode("utf-8", "surrogateescape")
    except (KeyError, UnicodeEncodeError):
        raise S3Error(
            Fault.SignatureDoesNotMatch, "A signed header is missing or can't be read."
        ) from None


def signing_key(secret: Secret, date: str, region: str, service: str) -> bytes:
    """The key that signs a day's requests of one secret; derived once, then remembered."""
    return _derive(secret.reveal(), date, region, service)


# A bounded cache inside functools: its repr shows neither keys nor values.
@lru_cache(maxsize=1024)
def _derive(secret: bytes, *scope: str) -> bytes:
    key = b"AWS4" + secret
    for part in (*scope, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class ChunkSigner:
    """The chain of signatures over the chunks of an aws-chunked body (protocol.md 3.2).

    seed: signature of the request. Each call moves the chain on by one.
    """

    __slots__ = ("_key", "_previous", "_scope")

    def __init__(self, key: bytes, scope: str, amz_date: str, seed: str) -> None:
        self._key, self._previous = key, seed
        self._scope = f"{amz_date}\n{scope}"

    def next_chunk_signature(self, chunk_sha256: str) -> str:
        """The signature (hex) that the next chunk must have; its payload's SHA-256 is given."""
        return self._next("PAYLOAD", f"{EMPTY_SHA256}\n{chunk_sha256}")

    def trailer_signature(self, trailer_sha256: str) -> str:
        """The signature (hex) of the trailer, after the last chunk; SHA-256 of "name:value\\n"s."""
        return self._next("TRAILER", trailer_sha256)

    def _next(self, kind: str, what: str) -> str:
        to_sign = f"{ALGORITHM}-{kind}\n{self._scope}\n{self._previous}\n{what}"
        self._previous = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        return self._previous


@lru_cache(maxsize=8)
def _amz_date(unix_s: int) -> str:
    return time.strftime(DATE_FORMAT, time.gmtime(unix_s))


class RequestSigner:
    """Signs requests with one key for one region, for the store or in tests as a client would."""

    def __init__(self, access_key: str, secret: Secret, region: str, service: str = "s3") -> None:
        self._access_key, self._secret = access_key, secret
        self._region, self._service = region, service

    def sign(
        self,
        method: str,
        host: str,
        path: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        *,
        payload_hash: str,
        now: datetime,
    ) -> dict[str, str]:
        """The headers to add: x-amz-date, x-amz-content-sha256, authorization.

        host: with its port unless it is the scheme's default. path: percent-encoded, as it will
        be sent. query: decoded; it must be sent as `encode_query` encodes it, in any order.
        headers: any case, sent as UTF-8; signed are host, x-amz-*, content-md5, content-type and
        range.
        """
        amz_date = _amz_date(int(now.timestamp()))
        date = amz_date[:8]
        added = {"x-amz-date": amz_date, "x-amz-content-sha256": payload_hash}
        signed = {
            lower: value
            for name, value in headers.items()
            if (lower := name.lower()).startswith("x-amz-")
            or lower in ("content-md5", "content-type", "range")
        }
        signed |= added
        signed["host"] = host
        names = sorted(signed)
        wire_query = _sorted_query(encode_query(query), False) if query else ""
        canonical = _canonical(method, path or "/", wire_query, signed, names, payload_hash)
        scope = f"{date}/{self._region}/{self._service}/aws4_request"
        to_sign = f"{ALGORITHM}\n{amz_date}\n{scope}\n{sha256(canonical).hexdigest()}"
        key = signing_key(self._secret, date, self._region, self._service)
        added["authorization"] = (
            f"{ALGORITHM} Credential={self._access_key}/{scope}, SignedHeaders={';'.join(names)}, "
            f"Signature={hmac.digest(key, to_sign.encode(), 'sha256').hex()}"
        )
        return added
