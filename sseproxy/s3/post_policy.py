"""The policy of a form upload: what the signer allows the form to say (protocol.md 3.2).

Messages are those that clients know from S3: they name the condition or field that failed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Never

from sseproxy.s3.faults import Fault, S3Error

_EXPIRATION = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z", re.ASCII | re.IGNORECASE
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# Escapes that S3 documents for policies and JSON doesn't have.
_S3_ESCAPES = {"$": "$", "v": "\\u000b"}
_NO_CONDITION_NEEDED = frozenset(
    {"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"}
)
_IGNORED_PREFIX = "x-ignore-"


@dataclass(frozen=True, slots=True)
class LengthRange:
    """How long the file may be, in bytes, both ends included; maximum None: no limit."""

    minimum: int = 0
    maximum: int | None = None

    def check_so_far(self, length: int) -> None:
        """Raise S3Error (EntityTooLarge) once a file that is still coming is too long."""
        if self.maximum is not None and length > self.maximum:
            raise S3Error(Fault.EntityTooLarge, MaxSizeAllowed=str(self.maximum))

    def check(self, length: int) -> None:
        """Raise S3Error (EntityTooLarge, EntityTooSmall) for a whole file of another length."""
        self.check_so_far(length)
        if length < self.minimum:
            raise S3Error(
                Fault.EntityTooSmall,
                ProposedSize=str(length),
                MinSizeAllowed=str(self.minimum),
            )


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a field; text is how S3 writes it in an error.

    name: in lower case; None if it was written without "$", which names no field.
    """

    name: str | None
    value: str
    prefix: bool
    text: str

    def holds(self, given: str | None) -> bool:
        """Whether a field with this value, None if there is none, satisfies it."""
        if given is None:
            return False
        if not self.prefix:
            return given == self.value
        values = [given]
        if self.name == "content-type":  # it may be a list: each of them has to begin so
            values = [value.strip(" \t") for value in given.split(",")]
        return all(value.startswith(self.value) for value in values)


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A policy document, read but not yet applied."""

    expiration: datetime
    conditions: tuple[Condition, ...]
    length: LengthRange

    def check(
        self,
        fields: Mapping[str, str],
        *,
        bucket: str,
        now: datetime,
        uncovered: Collection[str] = _NO_CONDITION_NEEDED,
    ) -> None:
        """Raise S3Error (AccessDenied) unless the policy allows this form into this bucket.

        fields: by lower-case name, variables replaced. uncovered: the fields that need no
        condition, which depend on how the form is signed.
        """
        if now > self.expiration:
            raise _denied("Policy expired.")
        # The bucket is the one of the address, whatever a field of that name says.
        facts = {**fields, "bucket": bucket}
        for condition in self.conditions:
            given = None if condition.name is None else facts.get(condition.name)
            if not condition.holds(given):
                raise _denied(f"Policy Condition failed: {condition.text}")
        covered = {condition.name for condition in self.conditions} | set(uncovered)
        for name in facts:
            if name not in covered and not name.startswith(_IGNORED_PREFIX):
                raise _denied(f"Extra input fields: {name}")


def parse_policy(encoded: str) -> PostPolicy:
    """Read the field `policy`: base64 of JSON. Raises S3Error (InvalidPolicyDocument)."""
    document = _json(encoded)
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    for name in document:
        if name not in ("expiration", "conditions"):
            raise _invalid(f"Unexpected: '{name}'")
    if "expiration" not in document:
        raise _invalid("Policy missing expiration.")
    expiration = _expiration(document["expiration"])
    items = document.get("conditions")
    if items is None:
        raise _invalid("Policy missing conditions.")
    if not isinstance(items, list):
        raise _invalid("Invalid 'conditions' value: must be a List.")
    read = [_condition(item) for item in items]
    ranges = [item for item in read if isinstance(item, LengthRange)]
    upper = [item.maximum for item in ranges if item.maximum is not None]
    return PostPolicy(
        expiration,
        tuple(item for item in read if isinstance(item, Condition)),
        # All of them have to hold.
        LengthRange(
            max((item.minimum for item in ranges), default=0), min(upper) if upper else None
        ),
    )


def _json(encoded: str) -> object:
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        raise _invalid("invalid Base64 encoding.") from None
    text = _ESCAPE.sub(lambda found: _S3_ESCAPES.get(found[1], found[0]), text)
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):  # two readers could choose differently
        raise ValueError("a name occurs twice")
    return content


def _refuse(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _expiration(value: object) -> datetime:
    found = _EXPIRATION.fullmatch(value) if isinstance(value, str) else None
    try:
        if found is None:
            raise ValueError
        moment = datetime.strptime(found[1].upper(), "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise _invalid(f"Invalid 'expiration' value: '{value}'") from None
    return moment.replace(tzinfo=UTC, microsecond=int((found[2] or "0").ljust(6, "0")[:6]))


def _condition(item: object) -> Condition | LengthRange:
    if isinstance(item, dict):
        return _simple(item)
    if not isinstance(item, list):
        raise _invalid("Invalid condition test: must be a List or Object.")
    if not item or not isinstance(item[0], str):
        raise _invalid("Invalid Condition: missing operation identifier.")
    read = _OPERATIONS.get(item[0].lower())
    if read is None:
        raise _invalid(f"Invalid Condition: unknown operation '{item[0]}'.")
    if len(item) != 3:
        raise _invalid(f"Invalid {item[0]}: wrong number of arguments.")
    return read(item)


def _simple(item: dict[str, object]) -> Condition:
    if len(item) != 1:
        raise _invalid(
            "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."
        )
    [(name, value)] = item.items()
    if not isinstance(value, str):
        raise _invalid("Invalid Simple-Condition: value must be a string.")
    return Condition(name.lower(), value, prefix=False, text=_written(["eq", f"${name}", value]))


def _comparison(item: list[object], *, prefix: bool) -> Condition:
    _, name, value = item
    if not isinstance(name, str) or not isinstance(value, str):
        raise _invalid("Invalid JSON.")
    field = name[1:].lower() if name.startswith("$") else None
    return Condition(field, value, prefix=prefix, text=_written(item))


def _range(item: list[object]) -> LengthRange:
    minimum, maximum = (_size(bound) for bound in item[1:])
    return LengthRange(minimum, maximum)


def _size(bound: object) -> int:
    if isinstance(bound, str) and bound.isascii() and bound.isdigit() and len(bound) <= 19:
        return int(bound)
    if not isinstance(bound, int) or isinstance(bound, bool) or bound < 0:
        raise _invalid("Invalid content-length-range: a size must be a number of bytes.")
    return bound


_OPERATIONS: Mapping[str, Callable[[list[object]], Condition | LengthRange]] = {
    "eq": lambda item: _comparison(item, prefix=False),
    "starts-with": lambda item: _comparison(item, prefix=True),
    "content-length-range": _range,
}


def _written(item: list[object]) -> str:
    return json.dumps(item, ensure_ascii=False)


def _invalid(detail: str) -> S3Error:
    return S3Error(Fault.InvalidPolicyDocument, f"Invalid Policy: {detail}")


def _denied(detail: str) -> S3Error:
    return S3Error(Fault.AccessDenied, f"Invalid according to Policy: {detail}")
