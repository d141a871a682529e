"""The XML of a bucket's default encryption, in both dialects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.bucket_encryption import (
    BucketEncryption,
    bucket_encryption_xml,
    parse_bucket_encryption,
)
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import SseMode

S3, COS = Dialect.S3, Dialect.COS
AES = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"  # noqa: E501  # as clients send it


def config(*rules: str, namespace: str = "") -> bytes:
    inner = "".join(f"<Rule>{rule}</Rule>" for rule in rules)
    root = "ServerSideEncryptionConfiguration"
    return f"<{root}{namespace}>{inner}</{root}>".encode()


def apply(algorithm: str, more: str = "") -> str:
    name = "ApplyServerSideEncryptionByDefault"
    return f"<{name}><SSEAlgorithm>{algorithm}</SSEAlgorithm>{more}</{name}>"


def blocked(*types: str) -> str:
    inner = "".join(f"<EncryptionType>{each}</EncryptionType>" for each in types)
    return f"<BlockedEncryptionTypes>{inner}</BlockedEncryptionTypes>"


KEY = "<KMSMasterKeyID>arn:aws:kms:k</KMSMasterKeyID>"


@pytest.mark.parametrize("dialect", [S3, COS])
def test_aes256(dialect):
    body = config(AES)
    assert parse_bucket_encryption(body, dialect) == BucketEncryption(SseMode.SSE_COS)


def test_a_namespace_comments_and_white_space_are_no_matter():
    namespace = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    body = config(f"\n <!-- why -->{apply(' AES256 ')}\n", namespace=namespace)
    assert parse_bucket_encryption(body, S3) == BucketEncryption(SseMode.SSE_COS)


def test_kms():
    rule = apply("aws:kms", KEY) + "<BucketKeyEnabled>true</BucketKeyEnabled>"
    expected = BucketEncryption(SseMode.SSE_KMS, "arn:aws:kms:k", bucket_key=True)
    assert parse_bucket_encryption(config(rule), S3) == expected
    assert parse_bucket_encryption(config(apply("aws:kms")), S3).key_id is None
    empty = "<KMSMasterKeyID/>"
    assert parse_bucket_encryption(config(apply("aws:kms", empty)), S3).key_id is None


def test_kms_of_cos():
    rule = apply("KMS", KEY + "<KMSAlgorithm>AES256</KMSAlgorithm>")
    expected = BucketEncryption(SseMode.SSE_KMS, "arn:aws:kms:k")
    assert parse_bucket_encryption(config(rule), COS) == expected


@pytest.mark.parametrize(("types", "blocks"), [(["SSE-C"], True), (["NONE"], False)])
def test_blocked_types(types, blocks):
    parsed = parse_bucket_encryption(config(AES + blocked(*types)), S3)
    assert parsed == BucketEncryption(SseMode.SSE_COS, blocks_sse_c=blocks)


def test_a_rule_without_a_default_means_sse_s3_as_at_amazon():
    assert parse_bucket_encryption(config(blocked("SSE-C")), S3) == BucketEncryption(
        SseMode.SSE_COS, blocks_sse_c=True
    )


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False)])
def test_booleans(text, value):
    body = config(f"{AES}<BucketKeyEnabled>{text}</BucketKeyEnabled>")
    assert parse_bucket_encryption(body, S3).bucket_key is value


MALFORMED = [
    b"",
    b"not xml",
    b"<Other/>",
    b'<!DOCTYPE x [<!ENTITY e "AES256">]><ServerSideEncryptionConfiguration/>',
    config(),
    config(AES, AES),
    config(""),
    config(AES + AES),
    config(AES) + b"<trailing/>",
    config(AES + "<Unknown/>"),
    config("<ApplyServerSideEncryptionByDefault/>"),
    config(apply("")),
    config(apply("aes256")),
    config(apply("aws:fsx")),
    config(apply("KMS")),
    config(apply("AES256", "<SSEAlgorithm>AES256</SSEAlgorithm>")),
    config(apply("<b>AES256</b>")),
    config(AES + "<BucketKeyEnabled>perhaps</BucketKeyEnabled>"),
    config(AES + blocked()),
    config(AES + blocked("SSE-KMS")),
    config(AES + blocked("NONE", "SSE-C")),
    config(AES + blocked("SSE-C") + blocked("NONE")),
]


@pytest.mark.parametrize("body", MALFORMED)
def test_what_is_malformed(body):
    with pytest.raises(S3Error) as caught:
        parse_bucket_encryption(body, S3)
    assert caught.value.fault is Fault.MalformedXML


@pytest.mark.parametrize(
    ("body", "dialect", "fault"),
    [
        (config(apply("AES256", KEY)), S3, Fault.InvalidArgument),
        (config(apply("AES256", "<KMSMasterKeyID/>")), S3, Fault.InvalidArgument),
        (config(apply("AES256", KEY)), COS, Fault.InvalidArgument),
        (
            config(apply("AES256", "<KMSAlgorithm>AES256</KMSAlgorithm>")),
            COS,
            Fault.InvalidArgument,
        ),
        (config(apply("aws:kms:dsse")), S3, Fault.NotImplemented),
        (config(apply("aws:kms:dsse")), COS, Fault.MalformedXML),
        (config(apply("aws:kms")), COS, Fault.MalformedXML),
        (config(apply("SM4")), COS, Fault.SSEContentNotSupported),
        (config(apply("SM4")), S3, Fault.MalformedXML),
        (
            config(apply("KMS", "<KMSAlgorithm>SM4</KMSAlgorithm>")),
            COS,
            Fault.SSEContentNotSupported,
        ),
        (config(apply("KMS", "<KMSAlgorithm>DES</KMSAlgorithm>")), COS, Fault.MalformedXML),
        (config(AES + blocked("SSE-C")), COS, Fault.MalformedXML),
    ],
)
def test_what_else_is_refused(body, dialect, fault):
    with pytest.raises(S3Error) as caught:
        parse_bucket_encryption(body, dialect)
    assert caught.value.fault is fault
    if fault is Fault.InvalidArgument:
        assert caught.value.fields["ArgumentName"] == "ApplyServerSideEncryptionByDefault"


def test_an_answer_in_each_dialect():
    encryption = BucketEncryption(SseMode.SSE_KMS, "k", bucket_key=True, blocks_sse_c=True)
    s3 = bucket_encryption_xml(encryption, S3)
    assert b"<SSEAlgorithm>aws:kms</SSEAlgorithm>" in s3
    assert b"<BucketKeyEnabled>true</BucketKeyEnabled>" in s3
    assert b"xmlns=" in s3
    cos = bucket_encryption_xml(encryption, COS)
    assert b"<SSEAlgorithm>KMS</SSEAlgorithm>" in cos
    assert b"<KMSMasterKeyID>k</KMSMasterKeyID>" in cos
    assert b"xmlns" not in cos
    assert b"Blocked" not in cos


@given(
    mode=st.sampled_from([SseMode.SSE_COS, SseMode.SSE_KMS]),
    key_id=st.none() | st.from_regex("[a-z0-9:/-]{1,80}", fullmatch=True),
    bucket_key=st.booleans(),
    blocks=st.booleans(),
)
def test_what_is_shown_can_be_put_again(mode, key_id, bucket_key, blocks):
    key_id = key_id if mode is SseMode.SSE_KMS else None
    encryption = BucketEncryption(mode, key_id, bucket_key, blocks)
    assert parse_bucket_encryption(bucket_encryption_xml(encryption, S3), S3) == encryption
    bare = BucketEncryption(mode, key_id)
    assert parse_bucket_encryption(bucket_encryption_xml(encryption, COS), COS) == bare
