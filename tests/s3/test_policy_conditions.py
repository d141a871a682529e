"""Conditions of bucket policies on encryption, compared with what S3 documents of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.policy_conditions import encryption_values, glob, parse_conditions
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import SseMode, SseRequest, parse_write

MODE = "s3:x-amz-server-side-encryption"
KMS_KEY = f"{MODE}-aws-kms-key-id"
CUSTOMER = f"{MODE}-customer-algorithm"
ARN = "arn:aws:kms:eu-west-1:111122223333:key/abc"


def holds(operator: str, values: object, given_value: str | None, key: str = MODE) -> bool:
    conditions, others = parse_conditions({operator: {key: values}})
    assert not others
    (condition,) = conditions
    return condition.holds({} if given_value is None else {key.lower(): given_value})


@pytest.mark.parametrize(
    ("operator", "values", "absent", "right", "wrong"),
    [
        # operator, values, and what it says without header, with AES256, with aws:kms
        ("StringEquals", "AES256", False, True, False),
        ("StringEquals", ["aws:kms", "AES256"], False, True, True),
        ("StringNotEquals", "AES256", True, False, True),
        ("StringNotEquals", ["AES256", "aws:kms"], True, False, False),
        ("StringEqualsIgnoreCase", "aes256", False, True, False),
        ("StringNotEqualsIgnoreCase", "aes256", True, False, True),
        ("StringEquals", "aes256", False, False, False),
        ("StringLike", "AES*", False, True, False),
        ("StringLike", "*", False, True, True),
        ("StringNotLike", "aws:*", True, True, False),
        ("StringEqualsIfExists", "AES256", True, True, False),
        ("StringNotEqualsIfExists", "AES256", True, False, True),
        ("ForAnyValue:StringEquals", "AES256", False, True, False),
        ("ForAnyValue:StringNotEquals", "AES256", False, False, True),
        ("ForAllValues:StringEquals", "AES256", True, True, False),
        ("ForAllValues:StringNotEquals", "AES256", True, False, True),
        ("ForAnyValue:StringEqualsIfExists", "AES256", True, True, False),
        ("Null", "true", True, False, False),
        ("Null", True, True, False, False),
        ("Null", "false", False, True, True),
        ("Null", ["true", "false"], True, True, True),
    ],
)
def test_operators(operator, values, absent, right, wrong):
    assert holds(operator, values, None) is absent
    assert holds(operator, values, "AES256") is right
    assert holds(operator, values, "aws:kms") is wrong


@pytest.mark.parametrize("operator", ["ArnEquals", "ArnLike"])
def test_arns_are_compared_field_by_field(operator):
    assert holds(operator, ARN, ARN, KMS_KEY)
    assert holds(operator, "arn:aws:kms:*:*:key/*", ARN, KMS_KEY)
    assert not holds(operator, "arn:aws:kms:*:key/*", ARN, KMS_KEY)
    assert not holds(operator, "arn:*", ARN, KMS_KEY)
    assert not holds(operator, ARN, "abc", KMS_KEY)
    assert not holds(operator, ARN, None, KMS_KEY)
    assert holds(operator.replace("Arn", "ArnNot"), ARN, None, KMS_KEY)
    assert not holds(operator.replace("Arn", "ArnNot"), ARN, ARN, KMS_KEY)


def test_the_case_of_a_key_does_not_matter():
    (condition,), _ = parse_conditions({"StringEquals": {MODE.upper(): "AES256"}})
    assert condition.holds({MODE: "AES256"})


def test_other_keys_are_left_alone_and_told_of():
    block = {"Bool": {"aws:SecureTransport": "false"}, "Null": {MODE: "true"}}
    conditions, others = parse_conditions(block)
    assert len(conditions) == 1
    assert others
    assert parse_conditions({}) == ((), False)
    assert parse_conditions({"Anything": {"aws:x": [{}]}}) == ((), True)


@pytest.mark.parametrize(
    "block",
    [
        [],
        "x",
        {"Null": []},
        {"Null": {MODE: []}},
        {"Null": {MODE: "perhaps"}},
        {"Null": {MODE: {"a": 1}}},
        {"Null": {MODE: None}},
        {"NullIfExists": {MODE: "true"}},
        {"ForAnyValue:Null": {MODE: "true"}},
        {"Bool": {MODE: "true"}},
        {"stringequals": {MODE: "AES256"}},
        {"ForSomeValue:StringEquals": {MODE: "AES256"}},
        {"StringEquals": {MODE: "${aws:username}"}},
        {"StringEquals": {f"{MODE}-context": "x"}},
        {"StringEquals": {f"{MODE}s": "x"}},
    ],
)
def test_what_can_not_be_evaluated_is_refused(block):
    with pytest.raises(S3Error) as caught:
        parse_conditions(block)
    assert caught.value.fault is Fault.MalformedPolicy


def asked(headers: dict[str, str]) -> dict[str, str]:
    return encryption_values(parse_write(headers, secure=True, allow_insecure_ssec=False))


def test_what_a_write_says_of_itself():
    mode, cos = "x-amz-server-side-encryption", "x-cos-server-side-encryption"
    assert asked({}) == {}
    assert asked({mode: "AES256"}) == {MODE: "AES256"}
    assert asked({mode: "aws:kms", f"{mode}-aws-kms-key-id": ARN}) == {
        MODE: "aws:kms",
        KMS_KEY: ARN,
    }
    assert asked({cos: "cos/kms"}) == {MODE: "aws:kms"}
    customer = SseRequest(SseMode.SSE_C, Dialect.S3, algorithm="AES256")
    assert encryption_values(customer) == {CUSTOMER: "AES256"}


@given(st.text("ab*?.\n", max_size=12), st.text("ab.\n", max_size=12))
def test_a_glob_is_what_it_says(pattern, text):
    expression = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    assert glob(pattern, text) == (re.fullmatch(expression, text, re.DOTALL) is not None)


def test_no_pattern_takes_forever():
    # A matcher that tries every way to place the stars does not come back from this.
    assert not glob("*a" * 200 + "b", "a" * 1024)
