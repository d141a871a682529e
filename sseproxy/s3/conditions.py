"""If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, on the client's ETag.

S3's precedence is RFC 9110's (13.2.2): an ETag condition beats the date condition of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

CONDITION_HEADERS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
_NAMES = frozenset(CONDITION_HEADERS)
_ETAG = re.compile(r'(W/)?"([^"]*)"|([^\s,"]+)')


class Outcome(Enum):
    """What conditions say of an object."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not-modified"
    PRECONDITION_FAILED = "precondition-failed"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a request; None where it has none. ETags as sent, dates in UTC."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None

    def __bool__(self) -> bool:
        """There is at least one condition."""
        return self is not _NONE and self != _NONE


_NONE = Conditions()


def parse_conditions(headers: Mapping[str, str], prefix: str = "") -> Conditions:
    """The conditions in headers (lower-case names). A malformed date is ignored, as S3 does.

    prefix: "x-amz-copy-source-" for those on the source of a copy.
    """
    if not prefix and _NAMES.isdisjoint(headers):
        return _NONE
    return Conditions(
        if_match=headers.get(prefix + "if-match"),
        if_none_match=headers.get(prefix + "if-none-match"),
        if_modified_since=parse_http_date(headers.get(prefix + "if-modified-since")),
        if_unmodified_since=parse_http_date(headers.get(prefix + "if-unmodified-since")),
    )


def evaluate(
    conditions: Conditions,
    etag: str | None,
    last_modified: datetime | None,
    *,
    reading: bool = True,
) -> Outcome:
    """Whether a request may proceed on an object.

    etag: the client's, unquoted; None if there is no object. last_modified: aware; None skips
    the date conditions. reading: False for writes and copy sources, which never answer 304.
    """
    modified = last_modified.replace(microsecond=0) if last_modified is not None else None
    unmodified_since, modified_since = conditions.if_unmodified_since, conditions.if_modified_since
    if conditions.if_match is not None:
        if not _matches(conditions.if_match, etag, weak=False):
            return Outcome.PRECONDITION_FAILED
    elif unmodified_since is not None and modified is not None and modified > unmodified_since:
        return Outcome.PRECONDITION_FAILED
    unchanged = Outcome.NOT_MODIFIED if reading else Outcome.PRECONDITION_FAILED
    if conditions.if_none_match is not None:
        if _matches(conditions.if_none_match, etag, weak=True):
            return unchanged
    elif modified_since is not None and modified is not None and modified <= modified_since:
        return unchanged
    return Outcome.PROCEED


def _matches(condition: str, etag: str | None, *, weak: bool) -> bool:
    """RFC 9110, 8.8.3.2: If-None-Match compares weakly, If-Match strongly."""
    if etag is None:
        return False
    if condition.strip() == "*":
        return True
    return any(
        (quoted if bare == "" else bare) == etag and (weak or not weakness)
        for weakness, quoted, bare in _ETAG.findall(condition)
    )


def parse_http_date(value: str | None) -> datetime | None:
    """A date header in UTC; None if absent or malformed."""
    if value is None:
        return None
    try:
        parsed = parsedate_to_datetime(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
