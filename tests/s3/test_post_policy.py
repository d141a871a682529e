"""POST policies: what they may say, and what they say of a form."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.post_policy import LengthRange, parse_policy

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
LATER = "2026-05-06T07:08:10.000Z"
# From the documentation of S3, "Browser-Based Upload using HTTP POST (SigV4)".
EXAMPLE = """{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/done.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}"""
EXAMPLE_FORM = {
    "key": "user/user1/a.jpg",
    "acl": "public-read",
    "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/done.html",
    "content-type": "image/jpeg",
    "x-amz-meta-uuid": "14365123651274",
    "x-amz-server-side-encryption": "AES256",
    "x-amz-meta-tag": "",
    "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-date": "20151229T000000Z",
    "policy": "...",
    "x-amz-signature": "...",
}


def encoded(document: object) -> str:
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.b64encode(text.encode()).decode()


def policy(*conditions: object, expiration: object = LATER) -> str:
    return encoded({"expiration": expiration, "conditions": [{"bucket": "b"}, *conditions]})


def check(text: str, **fields: str) -> LengthRange:
    read = parse_policy(text)
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    read.check(named, bucket="b", now=NOW)
    return read.length


def refused(text: str, **fields: str) -> str:
    with pytest.raises(S3Error) as caught:
        check(text, **fields)
    assert caught.value.fault is Fault.AccessDenied
    return caught.value.message.removeprefix("Invalid according to Policy: ")


def invalid(text: str) -> str:
    with pytest.raises(S3Error) as caught:
        parse_policy(text)
    assert caught.value.fault is Fault.InvalidPolicyDocument
    return caught.value.message.removeprefix("Invalid Policy: ")


class TestDocument:
    def test_the_example_of_the_documentation(self) -> None:
        read = parse_policy(encoded(EXAMPLE))
        day = datetime(2015, 12, 29, tzinfo=UTC)
        read.check(EXAMPLE_FORM, bucket="sigv4examplebucket", now=day)
        for name in EXAMPLE_FORM.keys() - {"policy", "x-amz-signature"}:
            without = {key: value for key, value in EXAMPLE_FORM.items() if key != name}
            with pytest.raises(S3Error, match="Condition failed"):
                read.check(without, bucket="sigv4examplebucket", now=day)

    @pytest.mark.parametrize(
        ("text", "detail"),
        [
            ("{policy}", "invalid Base64 encoding."),
            ("A", "invalid Base64 encoding."),
            (base64.b64encode(b"\xff").decode(), "invalid Base64 encoding."),
            ("ä", "invalid Base64 encoding."),
            (encoded("expiration"), "Invalid JSON."),
            (encoded(""), "Invalid JSON."),
            (encoded([]), "Invalid JSON."),
            (encoded("[" * 5000), "Invalid JSON."),
            (encoded('{"expiration":NaN,"conditions":[]}'), "Invalid JSON."),
            (
                encoded('{"conditions":[],"conditions":[{"bucket":"b"}],"expiration":"x"}'),
                "Invalid JSON.",
            ),
            (encoded({"conditions": []}), "Policy missing expiration."),
            (encoded({"EXPIRATION": LATER, "conditions": []}), "Unexpected: 'EXPIRATION'"),
            (encoded({"expiration": LATER}), "Policy missing conditions."),
            (
                encoded({"expiration": LATER, "conditions": {}}),
                "Invalid 'conditions' value: must be a List.",
            ),
        ],
    )
    def test_what_is_no_policy(self, text: str, detail: str) -> None:
        assert invalid(text) == detail

    @pytest.mark.parametrize(
        ("condition", "detail"),
        [
            ("bucket", "Invalid condition test: must be a List or Object."),
            (
                {},
                "Invalid Simple-Condition: "
                "Simple-Conditions must have exactly one property specified.",
            ),
            (
                {"acl": "private", "key": "k"},
                "Invalid Simple-Condition: "
                "Simple-Conditions must have exactly one property specified.",
            ),
            ({"acl": 1}, "Invalid Simple-Condition: value must be a string."),
            ({"acl": None}, "Invalid Simple-Condition: value must be a string."),
            ([], "Invalid Condition: missing operation identifier."),
            ([1, "$key", "k"], "Invalid Condition: missing operation identifier."),
            (["ends-with", "$key", "k"], "Invalid Condition: unknown operation 'ends-with'."),
            (["eq", "$key"], "Invalid eq: wrong number of arguments."),
            (["starts-with", "$key", "k", "l"], "Invalid starts-with: wrong number of arguments."),
            (["eq", 1, "k"], "Invalid JSON."),
            (["eq", "$key", 1], "Invalid JSON."),
            (
                ["content-length-range", 0],
                "Invalid content-length-range: wrong number of arguments.",
            ),
        ],
    )
    def test_what_is_no_condition(self, condition: object, detail: str) -> None:
        assert invalid(policy(condition)) == detail

    @pytest.mark.parametrize("bound", [-1, 1.0, "x", "", "-1", "1" * 20, "²", None, True, [1]])
    @pytest.mark.parametrize("first", [True, False])
    def test_what_is_no_length(self, bound: object, first: bool) -> None:
        bounds = [bound, 10] if first else [0, bound]
        detail = invalid(policy(["content-length-range", *bounds]))
        assert detail == "Invalid content-length-range: a size must be a number of bytes."

    @pytest.mark.parametrize(
        "expiration",
        [
            *("2999-01-01 00:00:00", "2999-01-01T00:00:00+00:00", "2999-01-01T00:00:00"),
            *("2999-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "tomorrow", "", 32503680000, None),
            "２999-01-01T00:00:00Z",
        ],
    )
    def test_what_is_no_expiration(self, expiration: object) -> None:
        detail = invalid(policy(expiration=expiration))
        assert detail == f"Invalid 'expiration' value: '{expiration}'"

    def test_base64_with_and_without_padding(self) -> None:
        for key in ("k", "kk", "kkk"):
            text = policy({"key": key})
            check(text, key=key)
            check(text.rstrip("="), key=key)

    def test_escapes_that_s3_adds_to_json(self) -> None:
        document = (
            '{"expiration":"%s","conditions":[{"bucket":"b"},["eq","\\$key","a\\$\\v\\\\$\\n"]]}'
        )
        text = encoded(document % LATER)
        check(text, key="a$\v\\$\n")

    @given(st.text())
    def test_anything_is_read_or_refused(self, text: str) -> None:
        for form in (text, encoded(text.encode("utf-8", "replace").decode())):
            with pytest.raises(S3Error) as caught:
                parse_policy(form)
            assert caught.value.fault is Fault.InvalidPolicyDocument

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_any_condition_is_read_or_refused(self, condition: object) -> None:
        fault = None
        try:
            read = parse_policy(policy(condition))
        except S3Error as error:
            fault = error.fault
        else:
            assert len(read.conditions) + (read.length != LengthRange()) <= 2
        assert fault in (None, Fault.InvalidPolicyDocument)


class TestExpiration:
    @pytest.mark.parametrize("offset_us", [-1, 0, 1, 500_000])
    def test_up_to_its_moment(self, offset_us: int) -> None:
        moment = NOW + timedelta(microseconds=offset_us)
        text = policy({"key": "k"}, expiration=moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        if offset_us < 0:
            assert refused(text, key="k") == "Policy expired."
        else:
            check(text, key="k")

    @pytest.mark.parametrize(
        "text", ["2026-05-06T07:08:09Z", "2026-05-06T07:08:09.0Z", "2026-05-06t07:08:09.000000000z"]
    )
    def test_how_it_is_written(self, text: str) -> None:
        assert parse_policy(policy(expiration=text)).expiration == NOW


class TestConditions:
    @pytest.mark.parametrize(
        "condition", [{"key": "a/b"}, ["eq", "$key", "a/b"], ["EQ", "$Key", "a/b"], {"KEY": "a/b"}]
    )
    def test_equality(self, condition: object) -> None:
        text = policy(condition)
        check(text, key="a/b")
        for key in ("a/B", "a/bc", "a", ""):
            assert refused(text, key=key).startswith("Policy Condition failed: ")
        assert refused(text).startswith("Policy Condition failed: ")

    def test_the_message_has_the_condition_as_s3_writes_it(self) -> None:
        simple = refused(policy({"acl": "ü"}), acl="x")
        assert simple == 'Policy Condition failed: ["eq", "$acl", "ü"]'
        listed = refused(policy(["StArTs-WiTh", "$Key", "a"]), key="x")
        assert listed == 'Policy Condition failed: ["StArTs-WiTh", "$Key", "a"]'

    def test_prefixes(self) -> None:
        text = policy(["starts-with", "$key", "user/"])
        check(text, key="user/")
        check(text, key="user/a,b")
        assert refused(text, key="User/a")
        assert refused(text, key="a")
        check(policy(["starts-with", "$key", ""]), key="")
        assert refused(policy(["starts-with", "$key", ""])), "the field has to be there"

    def test_lists_of_content_types(self) -> None:
        text = policy(["starts-with", "$Content-Type", "image/"])
        check(text, content_type="image/png, image/gif,image/jpeg")
        assert refused(text, content_type="image/png, text/html")
        assert refused(text, content_type="text/html,image/png")
        assert refused(text, content_type="image/png,")
        assert refused(policy({"content-type": "a"}), content_type="a,a")
        check(policy(["starts-with", "$x-amz-meta-a", "i"]), x_amz_meta_a="i,t")

    def test_a_name_without_dollar_names_no_field(self) -> None:
        assert refused(policy(["eq", "key", "k"]), key="k").startswith("Policy Condition failed")

    def test_all_conditions_on_a_field_hold(self) -> None:
        text = policy(["starts-with", "$key", "a"], ["eq", "$key", "ab"])
        check(text, key="ab")
        assert refused(text, key="a")

    @pytest.mark.parametrize(
        "name", ["key", "acl", "content-type", "x-amz-date", "x-amz-algorithm", "q-ak", "ignore"]
    )
    def test_every_field_needs_a_condition(self, name: str) -> None:
        assert refused(policy(), **{name: "v"}) == f"Extra input fields: {name}"

    @pytest.mark.parametrize(
        "name",
        ["x-amz-signature", "awsaccesskeyid", "signature", "file", "policy", "x-ignore-a"],
    )
    def test_except_these(self, name: str) -> None:
        check(policy(), **{name: "v"})

    def test_the_bucket_is_that_of_the_address(self) -> None:
        check(policy(), bucket="another")
        unnamed = encoded({"expiration": LATER, "conditions": []})
        assert refused(unnamed) == "Extra input fields: bucket"
        assert refused(policy({"bucket": "other"}), bucket="other")

    @given(st.dictionaries(st.sampled_from(["key", "acl", "x-amz-meta-a"]), st.text()))
    def test_a_form_is_allowed_exactly_as_it_was_signed(self, fields: dict[str, str]) -> None:
        text = policy(*({name: value} for name, value in fields.items()))
        parse_policy(text).check(fields, bucket="b", now=NOW)
        for name in fields:
            with pytest.raises(S3Error):
                parse_policy(text).check(fields | {name: "x" + fields[name]}, bucket="b", now=NOW)


class TestLength:
    def test_both_ends_are_allowed(self) -> None:
        allowed = check(policy(["content-length-range", 2, "4"]))
        for length in (2, 3, 4):
            allowed.check(length)
        with pytest.raises(S3Error) as caught:
            allowed.check(1)
        assert caught.value.fault is Fault.EntityTooSmall
        assert caught.value.fields == {"ProposedSize": "1", "MinSizeAllowed": "2"}
        for refuses in (allowed.check, allowed.check_so_far):
            with pytest.raises(S3Error) as caught:
                refuses(5)
            assert caught.value.fault is Fault.EntityTooLarge
            assert caught.value.fields == {"MaxSizeAllowed": "4"}
        allowed.check_so_far(0)

    def test_several_all_hold(self) -> None:
        ranges = (["content-length-range", 1, 9], ["Content-Length-Range", 3, 20])
        assert check(policy(*ranges)) == LengthRange(3, 9)

    def test_none_is_no_limit(self) -> None:
        assert check(policy()) == LengthRange(0, None)
        LengthRange().check(2**60)
