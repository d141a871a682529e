"""Single byte ranges over the plaintext."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.ranges import content_range, no_such_part, parse_part_number, parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-3", None),
        ("bytes=0-1,3-4", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("bytes=0-1x", None),
        ("bytes=0-1\n", None),
        ("items=0-1", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("bytes=0-0", (0, 1)),
        ("Bytes=0-0", (0, 1)),
        ("bytes=9-", (9, 10)),
        ("bytes=2-5", (2, 6)),
        ("bytes=2-99999999999999999999", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
    ],
)
def test_ranges_of_ten_bytes(header: str | None, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)],
)
def test_unsatisfiable(header: str, size: int) -> None:
    with pytest.raises(S3Error) as caught:
        parse_range(header, size)
    assert caught.value.fault is Fault.InvalidRange
    assert caught.value.fields == {"RangeRequested": header, "ActualObjectSize": str(size)}
    assert caught.value.headers == {"content-range": f"bytes */{size}"}


@given(st.binary(max_size=64), st.integers(0, 70), st.integers(0, 70))
def test_a_range_is_the_slice(data: bytes, first: int, last: int) -> None:
    for header, expected in (
        (f"bytes={first}-{last}", data[first : last + 1]),
        (f"bytes={first}-", data[first:]),
        (f"bytes=-{last}", data[-last:] if last else b""),
    ):
        try:
            found = parse_range(header, len(data))
        except S3Error:
            assert expected == b""
            continue
        if found is None:
            assert first > last
        else:
            assert data[slice(*found)] == expected != b""


@given(st.text(), st.integers(0, 2**43))
def test_any_header_is_a_range_or_none_or_unsatisfiable(header: str, size: int) -> None:
    try:
        found = parse_range(header, size)
    except S3Error as error:
        found = None
        fault = error.fault
    else:
        fault = Fault.InvalidRange
    assert fault is Fault.InvalidRange
    assert found is None or 0 <= found[0] < found[1] <= size


def test_content_range_is_inclusive() -> None:
    assert content_range(2, 6, 10) == "bytes 2-5/10"


@pytest.mark.parametrize(
    ("text", "expected"), [(None, None), ("1", 1), ("10000", 10_000), ("007", 7)]
)
def test_part_numbers(text: str | None, expected: int | None) -> None:
    assert parse_part_number(text, None) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "10001", "1.0", "x", " 1", "1\n", "\u0661", "9" * 5000]
)
def test_what_is_no_part_number(text: str) -> None:
    for header in (None, "bytes=0-1"):
        with pytest.raises(S3Error) as caught:
            parse_part_number(text, header)
        assert caught.value.fault is Fault.InvalidArgument
        assert caught.value.fields == {"ArgumentName": "partNumber", "ArgumentValue": text[:32]}


def test_a_part_and_a_range_are_one_too_many() -> None:
    assert parse_part_number(None, "bytes=0-1") is None
    with pytest.raises(S3Error) as caught:
        parse_part_number("1", "bytes=0-1")
    assert caught.value.fault is Fault.InvalidRequest


def test_a_part_that_is_not_there() -> None:
    error = no_such_part(5, 4)
    assert (error.status, error.code) == (416, "InvalidPartNumber")
    assert error.fields == {"PartNumberRequested": "5", "ActualPartCount": "4"}
