"""A bucket policy as JSON: read strictly, compared and put together again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sseproxy.s3.faults import S3Error
from sseproxy.s3.policy_conditions import malformed, scalar


def load_policy(text: str | bytes) -> dict[str, Any]:
    """The members of a policy. Raises S3Error (MalformedPolicy) if it is no JSON object."""
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise malformed("Policies must be valid JSON, each name once.") from None
    if not isinstance(document, dict):
        raise malformed("Policies must be valid JSON and the first byte must be '{'.")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two members of one name, the store could take the other.
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


def strings_in(node: Any) -> Iterator[str]:
    """Every text in it, names of members too."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for name, value in node.items():
            yield name
            yield from strings_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings_in(value)


def statements_of(document: Mapping[str, Any]) -> list[Any]:
    """The statements; a single one needs no list."""
    statements = document.get("Statement")
    return statements if isinstance(statements, list) else [statements]


def same_policy(one: bytes, other: bytes) -> bool:
    """Whether two documents say the same, however a store writes lists, users and booleans."""
    try:
        return _normal(load_policy(one)) == _normal(load_policy(other))
    except (S3Error, KeyError, TypeError, AttributeError):
        return False


def merged_policy(stored: bytes | None, kept: tuple[Mapping[str, Any], ...]) -> bytes:
    """The store's document with the statements that were kept from it.

    For a store whose policy was changed past the proxy; stored: None if it has none.
    """
    empty = {"Version": "2012-10-17", "Statement": []}
    document = empty if stored is None else load_policy(stored)
    return json.dumps({**document, "Statement": [*statements_of(document), *kept]}).encode()


def _normal(document: dict[str, Any]) -> list[str]:
    statements = map(_normal_statement, statements_of(document))
    return sorted(json.dumps(each, sort_keys=True) for each in statements)


def _normal_statement(statement: dict[str, Any]) -> dict[str, Any]:
    normal = {name: _sorted(value) for name, value in statement.items() if value not in ("", {})}
    if statement.get("Principal") == "*":
        normal["Principal"] = {"AWS": ["*"]}
    return normal


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(each) for name, each in value.items()}
    return sorted(scalar(each) for each in (value if isinstance(value, list) else [value]))
