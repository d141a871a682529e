"""Signatures of browser forms: the published example, agreement with botocore, every refusal."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.faults import S3Error
from sseproxy.s3.post_signature import PostClaim, PostSignature, parse_post_claim, verify_post
from sseproxy.secret import Secret

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
PLAIN_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SECRET = Secret(PLAIN_SECRET)
NOW = datetime(2015, 12, 29, tzinfo=UTC)
# "Example: Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)".
POLICY = "\r\n".join(
    [
        '{ "expiration": "2015-12-30T12:00:00.000Z",',
        '  "conditions": [',
        '    {"bucket": "sigv4examplebucket"},',
        '    ["starts-with", "$key", "user/user1/"],',
        '    {"acl": "public-read"},',
        '    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/'
        'successful_upload.html"},',
        '    ["starts-with", "$Content-Type", "image/"],',
        '    {"x-amz-meta-uuid": "14365123651274"},',
        '    {"x-amz-server-side-encryption": "AES256"},',
        '    ["starts-with", "$x-amz-meta-tag", ""],',
        "",
        '    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},',
        '    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},',
        '    {"x-amz-date": "20151229T000000Z" }',
        "  ]",
        "}",
    ]
)
V4 = {
    "key": "user/user1/${filename}",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": f"{ACCESS_KEY}/20151229/us-east-1/s3/aws4_request",
    "X-Amz-Date": "20151229T000000Z",
    "Policy": base64.b64encode(POLICY.encode()).decode(),
    "X-Amz-Signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
}


def check(fields: dict[str, str], now: datetime = NOW, secret: Secret = SECRET) -> PostClaim:
    claim = parse_post_claim(fields)
    assert claim is not None
    verify_post(claim, fields, secret, now)
    return claim


def refused(fields: dict[str, str], now: datetime = NOW) -> S3Error:
    with pytest.raises(S3Error) as caught:
        check(fields, now)
    assert PLAIN_SECRET not in repr((caught.value, caught.value.fields))
    return caught.value


def botocore_fields(version: int, token: str | None = None, **conditions: str) -> dict[str, str]:
    credentials = Credentials(ACCESS_KEY, PLAIN_SECRET, token)
    request = AWSRequest("POST", "http://h/b")
    request.context["s3-presign-post-fields"] = fields = {"key": "k", **conditions}
    request.context["s3-presign-post-policy"] = {
        "expiration": "2015-12-30T12:00:00Z",
        "conditions": [{name: value} for name, value in fields.items()],
    }
    if version == 4:
        botocore.auth.S3SigV4PostAuth(credentials, "s3", "eu-west-3").add_auth(request)
    else:
        botocore.auth.HmacV1PostAuth(credentials).add_auth(request)
    return fields


@pytest.fixture(autouse=True)
def _botocore_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))


def test_the_published_example_verifies() -> None:
    claim = check(V4)
    assert claim == PostClaim(ACCESS_KEY, PostSignature.V4, None)


@pytest.mark.parametrize("version", [2, 4])
def test_what_botocore_signs_verifies(version: int) -> None:
    claim = check(botocore_fields(version, **{"x-amz-server-side-encryption": "AES256"}))
    assert (claim.access_key, claim.kind.value) == (ACCESS_KEY, f"v{version}")
    assert claim.session_token is None


@pytest.mark.parametrize("version", [2, 4])
def test_a_session_token_is_told_and_not_shown(version: int) -> None:
    claim = check(botocore_fields(version, token="tok/en+="))
    assert claim.session_token == "tok/en+="
    assert "tok/en" not in repr(claim)


@pytest.mark.parametrize("version", [2, 4])
def test_the_policy_is_signed(version: int) -> None:
    fields = botocore_fields(version)
    wider = base64.b64encode(b'{"expiration": "2099-01-01T00:00:00Z", "conditions": []}').decode()
    assert refused({**fields, "policy": wider}).code == "SignatureDoesNotMatch"
    assert refused({**fields, "policy": "\ud800é"}).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("value", ["x", "é", "\ud800"])
def test_another_signature(version: int, value: str) -> None:
    name = "signature" if version == 2 else "x-amz-signature"
    assert refused({**botocore_fields(version), name: value}).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("version", [2, 4])
def test_another_secret(version: int) -> None:
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        check(botocore_fields(version), secret=Secret("other"))


def test_the_scope_is_signed() -> None:
    credential = V4["X-Amz-Credential"].replace("us-east-1", "us-east-2")
    assert refused({**V4, "X-Amz-Credential": credential}).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "fields",
    [{}, {"key": "k", "x-amz-meta-a": "1"}, {"x-amz-date": "x", "x-amz-security-token": "t"}],
)
def test_a_form_without_policy_and_signature_is_anonymous(fields: dict[str, str]) -> None:
    assert parse_post_claim(fields) is None


@pytest.mark.parametrize(
    ("version", "name"),
    [(2, name) for name in ("AWSAccessKeyId", "signature", "policy")]
    + [
        (4, name)
        for name in (
            *("policy", "x-amz-signature", "x-amz-credential", "x-amz-date"),
            "x-amz-algorithm",
        )
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_a_part_of_a_signature_is_never_anonymous(version: int, name: str, empty: bool) -> None:
    fields = botocore_fields(version)
    assert name in fields
    fields[name] = ""
    if not empty:
        del fields[name]
    error = refused(fields)
    assert (error.code, error.fields["ArgumentName"]) == ("InvalidArgument", name.lower())


def test_a_policy_alone_is_not_anonymous() -> None:
    assert refused({"policy": "e30="}).fields["ArgumentName"] == "awsaccesskeyid"


def test_two_signatures_are_refused() -> None:
    assert refused(botocore_fields(2) | botocore_fields(4)).code == "InvalidArgument"


@pytest.mark.parametrize("name", ["q-ak", "Q-Signature", "q-sign-algorithm"])
def test_the_other_dialects_signature_is_refused(name: str) -> None:
    error = refused({**V4, name: "x"})
    assert (error.code, error.status) == ("InvalidRequest", 400)


@pytest.mark.parametrize(
    "changed",
    [
        {"X-Amz-Algorithm": "AWS4-ECDSA-P256-SHA256"},
        {"X-Amz-Date": "20151229"},
        {"X-Amz-Date": "20151230T000000Z"},
        {"X-Amz-Credential": "x"},
        {"X-Amz-Credential": f"{ACCESS_KEY}é/20151229/us-east-1/s3/aws4_request"},
        {"X-Amz-Credential": f"{ACCESS_KEY}/20151229/us-east-1/sts/aws4_request"},
    ],
    ids=str,
)
def test_malformed_fields(changed: dict[str, str]) -> None:
    assert refused({**V4, **changed}).code == "InvalidArgument"


def test_a_form_is_good_for_seven_days() -> None:
    check(V4, NOW + timedelta(days=7))
    error = refused(V4, NOW + timedelta(days=7, seconds=1))
    assert (error.code, error.message) == ("AccessDenied", "Request has expired")


def test_a_form_from_the_future() -> None:
    check(V4, NOW - timedelta(minutes=15))
    assert refused(V4, NOW - timedelta(minutes=15, seconds=1)).code == "RequestTimeTooSkewed"


_NAMES = st.sampled_from([*V4, "AWSAccessKeyId", "signature", "x-amz-security-token"])


@given(st.dictionaries(_NAMES, st.one_of(st.text(max_size=8), st.sampled_from([*V4.values()]))))
def test_arbitrary_forms_raise_only_s3_errors(fields: dict[str, str]) -> None:
    try:
        claim = parse_post_claim(fields)
        if claim is not None:
            verify_post(claim, fields, SECRET, NOW)
    except S3Error:
        return
    assert claim is None or fields["X-Amz-Signature"] == V4["X-Amz-Signature"]
