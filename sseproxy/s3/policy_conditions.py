"""Conditions of bucket policies on server-side encryption, as S3 evaluates them.

A request has at most one value for each of these keys. A key that it has not: negated operators
hold, positive ones don't, `IfExists` and `ForAllValues` hold, `ForAnyValue` doesn't.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.sse import SseRequest
from sseproxy.s3.sse_names import SseMode

MODE_KEY = "s3:x-amz-server-side-encryption"
_KMS_KEY = f"{MODE_KEY}-aws-kms-key-id"
_CUSTOMER_KEY = f"{MODE_KEY}-customer-algorithm"
_KEYS = frozenset({MODE_KEY, _KMS_KEY, _CUSTOMER_KEY})
_OPERATOR = re.compile(r"(?:(ForAnyValue|ForAllValues):)?([A-Za-z]+?)(IfExists)?")


def malformed(message: str) -> S3Error:
    """The answer to a policy that can't be understood, or not be held to here."""
    return S3Error(Fault.MalformedPolicy, message)


def encryption_values(asked: SseRequest) -> dict[str, str]:
    """What a write says of its encryption, by condition key: only what it says itself."""
    values = {}
    if asked.mode is SseMode.SSE_C:
        values[_CUSTOMER_KEY] = "AES256"
    elif asked.algorithm is not None:
        values[MODE_KEY] = "aws:kms" if asked.algorithm == "cos/kms" else asked.algorithm
    if asked.kms_key_id is not None:
        values[_KMS_KEY] = asked.kms_key_id
    return values


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key. when_missing: what it says of a request without that key."""

    key: str
    values: tuple[str, ...]
    matches: Callable[[str, str], bool]
    negated: bool
    when_missing: bool

    def holds(self, request: Mapping[str, str]) -> bool:
        """Whether it holds for the values of a request (`encryption_values`)."""
        value = request.get(self.key)
        if value is None:
            return self.when_missing
        return any(self.matches(pattern, value) for pattern in self.values) != self.negated


def speaks_of_encryption(key: str) -> bool:
    """Whether a condition key is about server-side encryption; their case does not matter."""
    return key.lower().startswith(MODE_KEY)


def parse_conditions(block: Any) -> tuple[tuple[Condition, ...], bool]:
    """The conditions on encryption in a Condition element, and whether it has others too.

    Raises S3Error (MalformedPolicy).
    """
    found, others = [], False
    for operator, key, values in _tests(block):
        if speaks_of_encryption(key):
            found.append(_condition(operator, key.lower(), values))
        else:
            others = True
    return tuple(found), others


def _tests(block: Any) -> Iterator[tuple[str, str, Any]]:
    if not isinstance(block, dict) or not all(isinstance(test, dict) for test in block.values()):
        raise malformed("Condition must be of the form {operator: {key: values}}.")
    for operator, test in block.items():
        for key, values in test.items():
            yield operator, key, values


def _condition(operator: str, key: str, raw: Any) -> Condition:
    if key not in _KEYS:
        raise malformed(f"The condition key {key} is not known.")
    values = tuple(scalar(value) for value in (raw if isinstance(raw, list) else [raw]))
    if not values or any("${" in value for value in values):
        raise malformed(f"The condition on {key} must have values without policy variables.")
    if operator == "Null":
        return _null(key, tuple(value.lower() for value in values))
    match = _OPERATOR.fullmatch(operator)
    known = _OPERATORS.get(match[2]) if match else None
    if match is None or known is None:
        raise malformed(f"The condition operator {operator} can't be used with {key}.")
    matches, negated = known
    when_missing = negated
    if match[1] is not None:
        when_missing = match[1] == "ForAllValues"
    return Condition(key, values, matches, negated, when_missing or match[3] is not None)


def _null(key: str, values: tuple[str, ...]) -> Condition:
    if not {"true", "false"}.issuperset(values):
        raise malformed("The values of Null must be true or false.")
    return Condition(key, values, lambda asked, _: asked == "false", False, "true" in values)


def scalar(value: Any) -> str:
    """A value of a condition as text. Raises S3Error (MalformedPolicy) for a list or group."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        raise malformed("The values of a condition must be texts.")
    return str(value)


def glob(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern with `*` and `?` says. In time that no pattern blows up."""
    first, *others = _pieces(pattern)
    if not others:
        return first.fullmatch(text) is not None
    found = first.match(text)
    for piece in others[:-1]:
        found = found and piece.search(text, found.end())
    last_length = len(pattern) - pattern.rindex("*") - 1
    start = len(text) - last_length
    return bool(found and start >= found.end() and others[-1].fullmatch(text, start))


@lru_cache(maxsize=4096)
def _pieces(pattern: str) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(".".join(map(re.escape, piece.split("?"))), re.DOTALL)
        for piece in pattern.split("*")
    )


def _same_but_case(pattern: str, value: str) -> bool:
    return pattern.casefold() == value.casefold()


def _arn(pattern: str, value: str) -> bool:
    """ARNs are compared field by field: `*` does not reach over a colon before the sixth."""
    wanted, given = pattern.split(":", 5), value.split(":", 5)
    return len(wanted) == len(given) == 6 and all(map(glob, wanted, given))


_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (str.__eq__, False),
    "StringNotEquals": (str.__eq__, True),
    "StringEqualsIgnoreCase": (_same_but_case, False),
    "StringNotEqualsIgnoreCase": (_same_but_case, True),
    "StringLike": (glob, False),
    "StringNotLike": (glob, True),
    "ArnEquals": (_arn, False),
    "ArnLike": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnNotLike": (_arn, True),
}
