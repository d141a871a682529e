"""Bucket policies in two parts: what the store holds requests to, and what only the proxy can.

A store never sees a request for encryption, so conditions on `s3:x-amz-server-side-encryption...`
would refuse every write there. Statements that have them are kept here and evaluated for writes
(s3:PutObject: PutObject, copies, CreateMultipartUpload, forms); the store gets the rest, and of
an Allow the same without the condition. What can't be split without changing what it means is
refused (docs/decisions/0014-policies-on-encryption-are-kept-here.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sseproxy.s3.faults import S3Error
from sseproxy.s3.policy_conditions import MODE_KEY, Condition, glob, malformed, parse_conditions
from sseproxy.s3.policy_document import load_policy, statements_of, strings_in

MAX_POLICY_BYTES = 20 * 1024
_WRITE = "s3:putobject"
_MARK = MODE_KEY.removeprefix("s3:")
_DOCUMENT = {"Version", "Id", "Statement"}
_STATEMENT = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
    *("Resource", "NotResource", "Condition"),
}
_USER = re.compile(r"arn:aws[a-z-]*:iam:[^:]*:[^:]*:user/(?:.*/)?([^/*?]+)")
_ACCESS_KEY = re.compile(r"(?![0-9]{12}\Z)[^\s:*?/]{1,128}")
_BUCKET_ARN = re.compile(r"arn:aws[a-z-]*:s3:::(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Patterns:
    """A list of names with wildcards; inverted: what is none of them (`NotResource`)."""

    patterns: tuple[str, ...]
    inverted: bool

    def cover(self, name: str) -> bool:
        return any(glob(pattern, name) for pattern in self.patterns) != self.inverted


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about writes. principals: names of users, None for everyone.

    resources: `bucket/key`. conditions: all must hold; none for an Allow that asks for nothing.
    """

    allows: bool
    principals: frozenset[str] | None
    resources: Patterns
    conditions: tuple[Condition, ...]

    def concerns(self, names: frozenset[str], resource: str) -> bool:
        """Whether it is about that user (by any of its names) and that object."""
        of_user = self.principals is None or bool(self.principals & names)
        return of_user and self.resources.cover(resource)

    def applies(self, values: Mapping[str, str]) -> bool:
        """Whether its conditions hold."""
        return all(condition.holds(values) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class BucketPolicyDocument:
    """A policy with conditions on encryption. Two are equal if their text is.

    text: as the client wrote it. for_store: the store's part, None if nothing is left. kept: the
    original statements that the store doesn't get as they are.
    """

    text: str
    for_store: bytes | None = field(compare=False, repr=False)
    kept: tuple[Mapping[str, Any], ...] = field(compare=False, repr=False)
    _rules: tuple[Statement, ...] = field(compare=False, repr=False)

    def denies(self, names: frozenset[str], resource: str, values: Mapping[str, str]) -> bool:
        """Whether a write is refused. names: of the user, empty for an anonymous one.

        resource: `bucket/key`. values: `encryption_values`. A write that an Allow with such a
        condition is about must meet one of those, or come under an Allow without any condition.
        """
        rules = [rule for rule in self._rules if rule.concerns(names, resource)]
        if any(rule.applies(values) for rule in rules if not rule.allows):
            return True
        allows = [rule for rule in rules if rule.allows]
        conditional = any(rule.conditions for rule in allows)
        return conditional and not any(rule.applies(values) for rule in allows)

    @property
    def principals(self) -> frozenset[str]:
        """The users that statements about encryption name."""
        named = (rule.principals for rule in self._rules if rule.conditions)
        return frozenset().union(*(names for names in named if names is not None))


def parse_bucket_policy(text: str, bucket: str) -> BucketPolicyDocument | None:
    """The two parts of a policy; None if nothing in it is about encryption: it is the store's.

    Raises S3Error (MalformedPolicy) for a text that is no JSON object, and for conditions on
    encryption that the proxy can't hold requests to exactly.
    """
    return _parse(text, bucket)


# The settings are read anew every few seconds.
@lru_cache(maxsize=1024)
def _parse(text: str, bucket: str) -> BucketPolicyDocument | None:
    document = load_policy(text)
    if not any(_MARK in string.lower() for string in strings_in(document)):
        return None
    statements = statements_of(document)
    if not document.keys() <= _DOCUMENT or not all(map(_is_statement, statements)):
        raise malformed("The policy has an element that is not known, or none where one must be.")
    rules, kept, for_store = [], [], []
    for statement in statements:
        conditions, others = parse_conditions(statement.get("Condition", {}))
        if not conditions:
            for_store.append(statement)
            rules += _unconditional(statement, bucket)
            continue
        if others:
            raise malformed(
                "A statement with conditions on server-side encryption can't have others too: "
                "the store would have to know the one, and the proxy the other."
            )
        kept.append(statement)
        rules += _rule(statement, bucket, conditions)
        for_store += _without_conditions(statement, conditions)
    if not kept:
        return None
    left = json.dumps({**document, "Statement": for_store}).encode() if for_store else None
    return BucketPolicyDocument(text, left, tuple(kept), tuple(rules))


def refuses_plain_writes(text: str) -> list[str]:
    """Statements (by Sid or number) of a store's own policy that refuse what the proxy sends.

    Raises S3Error (MalformedPolicy) if that can't be told.
    """
    found = []
    for number, statement in enumerate(statements_of(load_policy(text)), start=1):
        if not isinstance(statement, dict):
            raise malformed("A statement must be an object.")
        conditions, _ = parse_conditions(statement.get("Condition", {}))
        applies = all(condition.holds({}) for condition in conditions)
        refuses = applies == (statement.get("Effect") == "Deny")
        if conditions and refuses and _actions(statement).cover(_WRITE):
            found.append(str(statement.get("Sid") or f"number {number}"))
    return found


def _is_statement(statement: Any) -> bool:
    return (
        isinstance(statement, dict)
        and statement.keys() <= _STATEMENT
        and statement.get("Effect") in ("Allow", "Deny")
    )


def _rule(
    statement: Mapping[str, Any], bucket: str, conditions: tuple[Condition, ...]
) -> list[Statement]:
    """The statement as far as it is about writes."""
    resources = _resources(statement, bucket)
    principals = _principals(statement)
    if not _actions(statement).cover(_WRITE):
        return []
    return [Statement(statement["Effect"] == "Allow", principals, resources, conditions)]


def _unconditional(statement: Mapping[str, Any], bucket: str) -> list[Statement]:
    """An Allow of the store's that permits writes however they are encrypted."""
    if statement["Effect"] != "Allow" or statement.get("Condition"):
        return []
    try:
        return _rule(statement, bucket, ())
    except S3Error:
        return []  # in a form that only the store knows; without it, more is refused


def _without_conditions(
    statement: Mapping[str, Any], conditions: tuple[Condition, ...]
) -> list[dict[str, Any]]:
    """What of a statement about encryption the store gets, so that it means the same there.

    Only writes say anything of encryption: for all other actions the conditions are what they
    are for a request that says nothing, always.
    """
    actions = _actions(statement)
    applies = all(condition.holds({}) for condition in conditions)
    bare = {name: value for name, value in statement.items() if name != "Condition"}
    if not actions.cover(_WRITE):
        return [bare] if applies else []
    if statement["Effect"] == "Allow":
        # The store allows the write, and the proxy denies it unless the conditions hold.
        bare_write = {name: value for name, value in bare.items() if name != "NotAction"}
        return [bare if applies else {**bare_write, "Action": ["s3:PutObject"]}]
    if not applies:
        return []
    if actions.inverted or any(
        glob(action, _WRITE) and action != _WRITE for action in actions.patterns
    ):
        raise malformed(
            "A Deny with conditions on server-side encryption must name s3:PutObject itself: "
            "with wildcards or NotAction it would deny all reads as well."
        )
    others = [each for each in _list(statement["Action"]) if each.lower() != _WRITE]
    return [{**bare, "Action": others}] if others else []


def _actions(statement: Mapping[str, Any]) -> Patterns:
    patterns, inverted = _either(statement, "Action", "NotAction")
    return Patterns(tuple(pattern.lower() for pattern in patterns), inverted)


def _resources(statement: Mapping[str, Any], bucket: str) -> Patterns:
    patterns, inverted = _either(statement, "Resource", "NotResource")
    names = []
    for pattern in patterns:
        match = _BUCKET_ARN.fullmatch(pattern)
        name = "*" if pattern == "*" else match[1] if match else ""
        if "${" in name or not glob(name.partition("/")[0], bucket):
            raise malformed(
                "Policy has invalid resource: it must be in this bucket, without policy variables."
            )
        names.append(name)
    return Patterns(tuple(names), inverted)


def _principals(statement: Mapping[str, Any]) -> frozenset[str] | None:
    principal = statement.get("Principal")
    if principal == "*":
        return None
    if not isinstance(principal, dict) or principal.keys() != {"AWS"}:
        raise malformed('With conditions on server-side encryption, Principal must be "*" or AWS.')
    names = set()
    for name in _list(principal["AWS"]):
        if name == "*":
            return None
        user = _USER.fullmatch(name)
        if user is None and not _ACCESS_KEY.fullmatch(name):
            raise malformed(
                "Invalid principal in policy: with conditions on server-side encryption it must "
                "be an access key, or an ARN that ends in user/ACCESS_KEY."
            )
        names.add(user[1] if user else name)
    return frozenset(names)


def _either(statement: Mapping[str, Any], plain: str, inverse: str) -> tuple[list[str], bool]:
    if (plain in statement) == (inverse in statement):
        raise malformed(f"A statement must have either {plain} or {inverse}.")
    inverted = inverse in statement
    return _list(statement[inverse if inverted else plain]), inverted


def _list(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) for item in values):
        raise malformed("Actions, resources and principals must be texts.")
    return values
