"""The header of a part: its bytes, and everything a reader has to refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import FormatError, IntegrityError, UnknownVersion
from sseproxy.format.header import HEADER_BYTES, MAX_PLAIN_BYTES, Header

from .helpers import PART_SALT, flipped, header

headers = st.builds(
    Header,
    st.integers(1, 10_000),
    st.integers(0, MAX_PLAIN_BYTES),
    st.binary(min_size=16, max_size=16),
    st.booleans(),
)


def test_the_bytes_are_those_of_the_specification() -> None:
    packed = Header(0x0102, 0x030405, PART_SALT, has_trailer=True).pack()
    assert packed[:8] == bytes.fromhex("93 53 53 45 50 52 58 0a")
    assert packed[8:12] == b"\x01\x10\x00\x01"
    assert packed[12:16] == b"\0\0\x01\x02"
    assert packed[16:24] == b"\0\0\0\0\0\x03\x04\x05"
    assert packed[24:48] == bytes(24)
    assert packed[48:] == PART_SALT


@given(headers)
def test_parsing_gives_back_what_was_packed(head: Header) -> None:
    assert len(head.pack()) == HEADER_BYTES
    assert Header.parse(head.pack()) == head
    head.check(head.pack())


@given(headers, st.integers(0, HEADER_BYTES - 1), st.integers(0, 7))
def test_any_flipped_bit_fails_the_comparison(head: Header, position: int, bit: int) -> None:
    with pytest.raises(FormatError):
        head.check(flipped(head.pack(), position, bit))


@given(st.binary(max_size=80) | st.binary(min_size=64, max_size=64))
def test_arbitrary_bytes_raise_format_errors_only(data: bytes) -> None:
    with pytest.raises(FormatError):
        Header.parse(data)


@given(headers, st.dictionaries(st.integers(0, 47), st.integers(0, 255), max_size=3))
def test_damaged_headers_parse_canonically_or_not_at_all(
    head: Header, changes: dict[int, int]
) -> None:
    damaged = bytearray(head.pack())
    for position, value in changes.items():
        damaged[position] = value
    try:
        parsed = Header.parse(bytes(damaged))
    except FormatError:
        return
    assert parsed.pack() == damaged


def test_another_version_is_refused_by_name() -> None:
    packed = bytearray(header(5).pack())
    packed[8] = 2
    with pytest.raises(UnknownVersion, match="version 2"):
        Header.parse(bytes(packed))


@pytest.mark.parametrize(
    ("position", "value"),
    [
        pytest.param(0, b"X", id="magic"),
        pytest.param(9, b"\x11", id="segment size"),
        pytest.param(11, b"\x02", id="flag"),
        pytest.param(10, b"\x01", id="high flag"),
        pytest.param(12, b"\0\0\0\0", id="part 0"),
        pytest.param(12, (10_001).to_bytes(4), id="part 10001"),
        pytest.param(16, (MAX_PLAIN_BYTES + 1).to_bytes(8), id="length"),
        pytest.param(24, b"\x01", id="first reserved byte"),
        pytest.param(47, b"\x01", id="last reserved byte"),
    ],
)
def test_what_v1_does_not_know_is_refused(position: int, value: bytes) -> None:
    packed = header(5).pack()
    changed = packed[:position] + value + packed[position + len(value) :]
    with pytest.raises(IntegrityError) as caught:
        Header.parse(changed)
    assert caught.value.reason == "header"


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_header_has_64_bytes(size: int) -> None:
    with pytest.raises(IntegrityError, match="64 bytes"):
        Header.parse(header(5).pack().ljust(65, b"\0")[:size])


@pytest.mark.parametrize(
    ("number", "length", "salt"),
    [
        (0, 0, PART_SALT),
        (10_001, 0, PART_SALT),
        (1, -1, PART_SALT),
        (1, MAX_PLAIN_BYTES + 1, PART_SALT),
        (1, 0, PART_SALT[:15]),
    ],
)
def test_no_header_is_made_that_no_reader_takes(number: int, length: int, salt: bytes) -> None:
    with pytest.raises(ValueError):
        Header(number, length, salt, has_trailer=False)
