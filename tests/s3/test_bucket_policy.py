"""Bucket policies in two parts: what the store gets, and which writes the proxy denies."""

from __future__ import annotations

import json

import pytest

from sseproxy.s3.bucket_policy import (
    BucketPolicyDocument,
    parse_bucket_policy,
    refuses_plain_writes,
)
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.policy_document import merged_policy, same_policy

MODE = "s3:x-amz-server-side-encryption"
BUCKET = "arn:aws:s3:::photos"
NO_HEADER = {"Null": {MODE: "true"}}
NOT_AES = {"StringNotEquals": {MODE: "AES256"}}
IS_AES = {"StringEquals": {MODE: "AES256"}}
IS_KMS = {"StringEquals": {MODE: "aws:kms"}}
AES, KMS = {MODE: "AES256"}, {MODE: "aws:kms"}
READ = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": f"{BUCKET}/*",
}


def statement(condition: object = None, effect: str = "Deny", **changes: object) -> dict:
    made = {
        "Effect": effect,
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"{BUCKET}/*",
        "Condition": NO_HEADER if condition is None else condition,
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def allow(condition: object = None, **changes: object) -> dict:
    return statement(IS_AES if condition is None else condition, "Allow", **changes)


def document(*statements: object, **members: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **members})


def split(*statements: object) -> BucketPolicyDocument:
    policy = parse_bucket_policy(document(*statements), "photos")
    assert policy is not None
    return policy


def stored(*statements: object) -> list | None:
    """The statements that the store gets; None if it gets no policy."""
    for_store = split(*statements).for_store
    return None if for_store is None else json.loads(for_store)["Statement"]


def denied(policy: BucketPolicyDocument, values: dict, key: str = "k", *names: str) -> bool:
    return policy.denies(frozenset(names), f"photos/{key}", values)


class TestTheStoresPart:
    def test_nothing_about_encryption_is_the_stores_alone(self):
        assert parse_bucket_policy(document(READ), "photos") is None

    def test_a_resource_that_is_named_so_is_no_condition(self):
        named = {**READ, "Resource": f"{BUCKET}/x-amz-server-side-encryption"}
        assert parse_bucket_policy(document(named), "photos") is None

    def test_a_deny_is_kept_from_the_store(self):
        assert stored(statement(), READ) == [READ]
        assert stored(statement()) is None
        assert split(statement(), READ).kept == (statement(),)

    def test_a_single_statement_needs_no_list(self):
        text = json.dumps({"Statement": statement()})
        policy = parse_bucket_policy(text, "photos")
        assert policy is not None
        assert denied(policy, {})

    def test_the_rest_of_the_document_stays(self):
        policy = parse_bucket_policy(document(statement(), READ, Id="mine"), "photos")
        assert json.loads(policy.for_store)["Id"] == "mine"
        assert policy.text == document(statement(), READ, Id="mine")

    def test_an_allow_goes_without_its_condition_for_writes_only(self):
        bare = {name: value for name, value in allow().items() if name != "Condition"}
        assert stored(allow()) == [{**bare, "Action": ["s3:PutObject"]}]
        # No other request says anything of encryption: the Allow is never for those.
        for actions in ({"Action": "s3:*"}, {"Action": ["s3:Put*", "s3:GetObject"]}):
            assert stored(allow(**actions)) == [{**bare, "Action": ["s3:PutObject"]}]
        inverse = allow(Action=None, NotAction="s3:DeleteObject")
        bare.pop("Action")
        assert stored(inverse) == [{**bare, "Action": ["s3:PutObject"]}]

    def test_an_allow_for_requests_that_say_nothing_goes_whole(self):
        nothing = allow(NO_HEADER, Action="s3:*")
        bare = {name: value for name, value in nothing.items() if name != "Condition"}
        assert stored(nothing) == [bare]
        assert denied(split(nothing), AES)
        assert not denied(split(nothing), {})

    def test_a_deny_of_other_actions_too_is_theirs_always(self):
        bare = {"Effect": "Deny", "Principal": "*", "Resource": f"{BUCKET}/*"}
        both = statement(Action=["s3:putobject", "s3:PutObjectAcl"])
        assert stored(both) == [{**bare, "Action": ["s3:PutObjectAcl"]}]
        assert denied(split(both), {})
        assert stored(statement(Action="s3:GetObject")) == [{**bare, "Action": "s3:GetObject"}]
        assert not denied(split(statement(Action="s3:GetObject")), {})

    def test_a_deny_that_never_applies_to_other_actions_may_have_wildcards(self):
        for actions in ({"Action": "s3:*"}, {"Action": None, "NotAction": "s3:GetObject"}):
            policy = split(statement(IS_KMS, **actions))
            assert policy.for_store is None
            assert denied(policy, KMS)
            assert not denied(policy, {})
        only_reads = allow(Action="s3:GetObject")
        assert stored(only_reads) is None
        assert not denied(split(only_reads), {})


class TestDenials:
    def test_without_a_header(self):
        policy = split(statement())
        assert denied(policy, {})
        assert not denied(policy, AES)

    def test_amazons_example(self):
        policy = split(statement(NOT_AES, Sid="a"), statement(NO_HEADER, Sid="b"))
        assert denied(policy, {})
        assert denied(policy, KMS)
        assert not denied(policy, AES)

    def test_all_conditions_of_a_statement_together(self):
        policy = split(statement({**NOT_AES, "Null": {MODE: "false"}}))
        assert not denied(policy, {})
        assert denied(policy, KMS)

    @pytest.mark.parametrize(
        ("resource", "hit"),
        [
            ("*", True),
            (f"{BUCKET}/*", True),
            (f"{BUCKET}*", True),
            (f"{BUCKET}/in/k?y", True),
            ("arn:aws-cn:s3:::photos/in/*", True),
            ([f"{BUCKET}/out/*", f"{BUCKET}/in/*"], True),
            (f"{BUCKET}/out/*", False),
            (BUCKET, False),
        ],
    )
    def test_resources(self, resource, hit):
        assert denied(split(statement(Resource=resource)), {}, "in/key") is hit
        inverse = statement(Resource=None, NotResource=resource)
        assert denied(split(inverse), {}, "in/key") is not hit

    @pytest.mark.parametrize(
        "principal",
        [
            {"AWS": "alice"},
            {"AWS": ["bob", "alice"]},
            {"AWS": "arn:aws:iam:::user/alice"},
            {"AWS": "arn:aws:iam::111122223333:user/staff/alice"},
        ],
    )
    def test_users(self, principal):
        policy = split(statement(Principal=principal))
        assert denied(policy, {}, "k", "alice", "alice-at-store")
        assert not denied(policy, {}, "k", "carol")
        assert not denied(policy, {}), "anonymous"
        assert "alice" in policy.principals

    @pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["alice", "*"]}])
    def test_everyone(self, principal):
        policy = split(statement(Principal=principal))
        assert denied(policy, {})
        assert denied(policy, {}, "k", "alice")
        assert policy.principals == frozenset()


class TestAllows:
    def test_the_condition_must_be_met(self):
        policy = split(allow())
        assert denied(policy, {})
        assert denied(policy, KMS)
        assert not denied(policy, AES)

    def test_one_of_several_is_enough(self):
        policy = split(allow(IS_AES), allow(IS_KMS))
        assert not denied(policy, AES)
        assert not denied(policy, KMS)
        assert denied(policy, {})

    def test_an_allow_without_condition_is_enough(self):
        free = statement(effect="Allow", Condition=None)
        assert not denied(split(allow(), free), {})
        elsewhere = {**free, "Resource": f"{BUCKET}/free/*"}
        assert denied(split(allow(), elsewhere), {})
        assert not denied(split(allow(), elsewhere), {}, "free/k")

    def test_one_that_only_the_store_understands_is_not(self):
        for special in (
            {"Principal": {"Service": "logs"}},
            {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
            {"Effect": "Deny"},
            {"Action": "s3:GetObject"},
        ):
            free = {**statement(effect="Allow", Condition=None), **special}
            assert denied(split(allow(), free), {}), special

    def test_who_is_not_meant_is_not_denied(self):
        policy = split(allow(Principal={"AWS": "alice"}))
        assert denied(policy, {}, "k", "alice")
        assert not denied(policy, {}, "k", "bob")


class TestRefused:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            '"x"',
            "[" * 100_000,
            '{"Version": "1", "Version": "2"}',
            json.dumps({"Id": MODE}),
            json.dumps({"Statement": [], "Id": MODE, "Other": 1}),
            document("x", Id=MODE),
            document(READ | {"Effect": "Perhaps"}, Id=MODE),
            document(READ | {"condition": NO_HEADER}),
            document(statement() | {"effect": "Deny"}),
            document(statement(Principal=None)),
            document(statement(Principal=None, NotPrincipal="*")),
            document(statement(Principal={"CanonicalUser": "x"})),
            document(statement(Principal={"AWS": "111122223333"})),
            document(statement(Principal={"AWS": "arn:aws:iam::111122223333:root"})),
            document(statement(Principal={"AWS": "arn:aws:iam::1:user/al*"})),
            document(statement(Principal={"AWS": []})),
            document(statement(Principal={"AWS": [1]})),
            document(statement(Action=None)),
            document(statement(NotAction="s3:GetObject")),
            document(statement(Action=7)),
            document(statement(Action="s3:*")),
            document(statement(Action=["s3:PutObject", "s3:Put*"])),
            document(statement(Action=None, NotAction="s3:GetObject")),
            document(statement(Resource=None)),
            document(statement(Resource="arn:aws:s3:::other/*")),
            document(statement(Resource="photos/*")),
            document(statement(Resource=f"{BUCKET}/${{aws:username}}/*")),
            document(statement({**NO_HEADER, "Bool": {"aws:SecureTransport": "true"}})),
            document(allow({**IS_AES, "Bool": {"aws:SecureTransport": "true"}})),
            document(statement({"Bool": {MODE: "true"}})),
            document(statement("x"), Id=MODE),
        ],
    )
    def test_what_can_not_be_held_to(self, text):
        with pytest.raises(S3Error) as caught:
            parse_bucket_policy(text, "photos")
        assert caught.value.fault is Fault.MalformedPolicy


class TestComparing:
    def test_as_minio_writes_it_down(self):
        ours = document(READ, statement({"Null": {MODE: "true"}}, Sid="x"), Id="i").encode()
        theirs = document(
            statement({"Null": {MODE: [True]}}, Sid="x", Principal={"AWS": ["*"]})
            | {"Action": ["s3:PutObject"], "Resource": [f"{BUCKET}/*"]},
            {**READ, "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"], "Sid": ""},
        ).encode()
        assert same_policy(ours, theirs)

    @pytest.mark.parametrize(
        "other",
        [b"", b"\xff", b"[]", b"{}", document("x").encode(), document(READ, READ).encode()],
    )
    def test_what_is_another(self, other):
        assert not same_policy(document(READ).encode(), other)
        assert not same_policy(other, document(READ).encode())

    def test_merged(self):
        kept = (statement(),)
        assert json.loads(merged_policy(None, kept))["Statement"] == [statement()]
        single = json.dumps({"Id": "i", "Statement": READ}).encode()
        assert json.loads(merged_policy(single, kept)) == {
            "Id": "i",
            "Statement": [READ, statement()],
        }


class TestAtTheStore:
    def test_what_would_refuse_proxied_writes(self):
        text = document(
            statement(Sid="needs-header"),
            statement(NOT_AES),
            allow(Sid="only-with-header"),
            statement(IS_KMS, Sid="harmless"),
            statement(Sid="reads", Action="s3:GetObject"),
            READ,
        )
        assert refuses_plain_writes(text) == ["needs-header", "number 2", "only-with-header"]

    @pytest.mark.parametrize("text", ["", document("x"), document(statement("x"))])
    def test_what_can_not_be_told(self, text):
        with pytest.raises(S3Error):
            refuses_plain_writes(text)
