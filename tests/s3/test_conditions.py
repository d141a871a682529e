"""Conditions on the client's ETag and date."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.conditions import Conditions, Outcome, evaluate, parse_conditions

NOW = datetime(2026, 5, 4, 12, 0, 0, 700_000, tzinfo=UTC)
SAME, LATER, EARLIER = (
    (NOW + timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    for seconds in (0, 60, -60)
)
OK, UNCHANGED, FAILED = Outcome.PROCEED, Outcome.NOT_MODIFIED, Outcome.PRECONDITION_FAILED


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, OK),
        ({"if-match": '"e"'}, OK),
        ({"if-match": "e"}, OK),
        ({"if-match": "*"}, OK),
        ({"if-match": '"x", "e"'}, OK),
        ({"if-match": '"x"'}, FAILED),
        ({"if-match": 'W/"e"'}, FAILED),
        ({"if-match": ""}, FAILED),
        ({"if-none-match": '"e"'}, UNCHANGED),
        ({"if-none-match": 'W/"e"'}, UNCHANGED),
        ({"if-none-match": "*"}, UNCHANGED),
        ({"if-none-match": '"x",e'}, UNCHANGED),
        ({"if-none-match": '"x"'}, OK),
        ({"if-modified-since": SAME}, UNCHANGED),
        ({"if-modified-since": LATER}, UNCHANGED),
        ({"if-modified-since": EARLIER}, OK),
        ({"if-modified-since": "yesterday"}, OK),
        ({"if-unmodified-since": SAME}, OK),
        ({"if-unmodified-since": EARLIER}, FAILED),
        ({"if-unmodified-since": "Mon, 99 Zzz 0000"}, OK),
        # an ETag condition beats the date of its kind
        ({"if-match": '"e"', "if-unmodified-since": EARLIER}, OK),
        ({"if-match": '"x"', "if-unmodified-since": LATER}, FAILED),
        ({"if-none-match": '"x"', "if-modified-since": LATER}, OK),
        ({"if-none-match": '"e"', "if-modified-since": EARLIER}, UNCHANGED),
        # a failed precondition beats "not modified"
        ({"if-match": '"x"', "if-none-match": '"e"'}, FAILED),
        ({"if-match": '"e"', "if-none-match": '"e"'}, UNCHANGED),
    ],
)
def test_outcomes(headers: dict[str, str], outcome: Outcome) -> None:
    assert evaluate(parse_conditions(headers), "e", NOW) is outcome
    copied = {"x-amz-copy-source-" + name: value for name, value in headers.items()}
    conditions = parse_conditions(copied, "x-amz-copy-source-")
    expected = FAILED if outcome is UNCHANGED else outcome
    assert evaluate(conditions, "e", NOW, reading=False) is expected


def test_no_object_matches_nothing() -> None:
    assert evaluate(Conditions(if_match="*"), None, None, reading=False) is FAILED
    assert evaluate(Conditions(if_none_match="*"), None, None, reading=False) is OK


def test_dates_are_skipped_without_one_of_the_object() -> None:
    conditions = parse_conditions({"if-unmodified-since": EARLIER, "if-modified-since": LATER})
    assert evaluate(conditions, "e", None) is OK


def test_a_date_of_no_zone_is_utc() -> None:
    conditions = parse_conditions({"if-modified-since": "Mon, 04 May 2026 12:00:00 -0000"})
    assert conditions.if_modified_since == NOW.replace(microsecond=0)


def test_truth_is_having_a_condition() -> None:
    assert not parse_conditions({"range": "x", "if-modified-since": "never"})
    assert parse_conditions({"if-match": ""})


@given(st.text(), st.text(), st.text())
def test_any_text_is_parsed(etags: str, date: str, etag: str) -> None:
    headers = dict.fromkeys(("if-match", "if-none-match"), etags)
    headers |= dict.fromkeys(("if-modified-since", "if-unmodified-since"), date)
    assert evaluate(parse_conditions(headers), etag, NOW) in Outcome


@given(st.lists(st.text("abc", min_size=1), min_size=1), st.text("abc", min_size=1))
def test_a_list_matches_if_one_does(etags: list[str], etag: str) -> None:
    quoted = Conditions(if_match=", ".join(f'"{item}"' for item in etags))
    assert (evaluate(quoted, etag, None) is OK) == (etag in etags)
