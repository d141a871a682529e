"""The signature of a browser form (POST Object): over its policy, by SigV4 or SigV2.

protocol.md 3.2, "POST policy". Field names in any case. Only the signature is looked at here;
what the policy says, its expiry too, is for who reads the policy.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from sseproxy.s3 import sigv2
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.sigv4 import MAX_SKEW, signing_key
from sseproxy.s3.sigv4_claim import ALGORITHM, DATE_FORMAT, parse_credential, parse_date
from sseproxy.secret import Secret

_V4_FIELDS = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
_V2_FIELDS = ("awsaccesskeyid", "signature")
_COS_FIELDS = ("q-sign-algorithm", "q-ak", "q-signature")
# As S3 documents: a signing key is good for the seven days that follow the date of its scope.
_MAX_AGE = timedelta(days=7)


class PostSignature(Enum):
    """The kinds of signature that a form can carry."""

    V2 = "v2"
    V4 = "v4"


@dataclass(frozen=True, slots=True)
class PostClaim:
    """What a form says about its signature; nothing of it is verified yet."""

    access_key: str
    kind: PostSignature
    session_token: str | None = field(repr=False)


def parse_post_claim(fields: Mapping[str, str]) -> PostClaim | None:
    """The claim of a form, None if it is anonymous: it has neither policy nor signature.

    Raises S3Error: InvalidArgument (a field is missing or malformed, two signatures),
    UnsupportedSignature (COS).
    """
    form = _lower(fields)
    if any(name in form for name in _COS_FIELDS):
        raise S3Error(Fault.UnsupportedSignature)
    # x-amz-date alone signs nothing: a form may have it as a header.
    v4 = any(name in form for name in _V4_FIELDS if name != "x-amz-date")
    v2 = any(name in form for name in _V2_FIELDS)
    if not (v4 or v2 or "policy" in form):
        return None
    if v4 and v2:
        raise _bad_field("signature", "Only one auth mechanism is allowed: Version 4 or Version 2.")
    for name in ("policy", *(_V4_FIELDS if v4 else _V2_FIELDS)):
        if not form.get(name):
            message = f"Bucket POST must contain a field named '{name}', before its file."
            raise _bad_field(name, message)
    token = form.get("x-amz-security-token") or None
    if v4:
        access_key = _scope(form)[0]
        return PostClaim(access_key, PostSignature.V4, token)
    return PostClaim(form["awsaccesskeyid"], PostSignature.V2, token)


def verify_post(claim: PostClaim, fields: Mapping[str, str], secret: Secret, now: datetime) -> None:
    """Check a form's signature against the secret of its access key. now: aware.

    fields: those the claim was parsed from. Raises S3Error: SignatureDoesNotMatch,
    RequestTimeTooSkewed (dated ahead), AccessDenied (dated over seven days back).
    """
    form = _lower(fields)
    if claim.kind is PostSignature.V4:
        verify_post_v4(form, secret, now)
    else:
        verify_post_v2(form["policy"], form["signature"], secret)


def verify_post_v2(policy_b64: str, signature: str, secret: Secret) -> None:
    """Check base64(HMAC-SHA1(secret, base64 policy)). Raises S3Error(SignatureDoesNotMatch)."""
    _compare(sigv2.sign(secret, _bytes(policy_b64)), signature)


def verify_post_v4(form: Mapping[str, str], secret: Secret, now: datetime) -> None:
    """Check hex(HMAC-SHA256(signing key, base64 policy)); form: lower-case names.

    Raises S3Error as `verify_post`.
    """
    _, date, region, service = _scope(form)
    age = now - parse_date(form["x-amz-date"])
    if -age > MAX_SKEW:
        raise S3Error(
            Fault.RequestTimeTooSkewed,
            RequestTime=form["x-amz-date"],
            ServerTime=now.strftime(DATE_FORMAT),
        )
    if age > _MAX_AGE:
        raise S3Error(Fault.RequestExpired, ServerTime=now.strftime(DATE_FORMAT))
    key = signing_key(secret, date, region, service)
    expected = hmac.digest(key, _bytes(form["policy"]), "sha256").hex()
    _compare(expected.encode(), form["x-amz-signature"])


def _scope(form: Mapping[str, str]) -> tuple[str, str, str, str]:
    if form["x-amz-algorithm"] != ALGORITHM:
        raise _bad_field("x-amz-algorithm", f"x-amz-algorithm only supports {ALGORITHM}")
    try:
        parse_date(form["x-amz-date"])
    except ValueError:
        message = "x-amz-date must have the form yyyyMMddTHHmmssZ"
        raise _bad_field("x-amz-date", message) from None
    return parse_credential(form["x-amz-credential"], form["x-amz-date"], Fault.InvalidArgument)


def _compare(expected: bytes, signature: str) -> None:
    if not hmac.compare_digest(expected, _bytes(signature)):
        raise S3Error(Fault.SignatureDoesNotMatch)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _lower(fields: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in fields.items()}


def _bad_field(name: str, message: str) -> S3Error:
    return S3Error(Fault.InvalidArgument, message, ArgumentName=name)
