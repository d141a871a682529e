"""Attributes: one encoding for each set of them, and no other bytes decode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import FormatError
from sseproxy.format.attributes import Attributes

CHECKSUM_BYTES = {
    "crc32": 4,
    "crc32c": 4,
    "crc64nvme": 8,
    "sha1": 20,
    "sha256": 32,
    "sha512": 64,
    "md5": 16,
    "xxhash64": 8,
    "xxhash3": 8,
    "xxhash128": 16,
    "crc64ecma": 8,
}


def exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


checksums = st.fixed_dictionaries(
    {}, optional={name: exactly(size) for name, size in CHECKSUM_BYTES.items()}
)
key_ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=256) | st.integers(
    250, 1_024
).map(lambda size: "k" * size)
attribute_sets = st.builds(
    Attributes,
    plain_size=st.none() | st.integers(0, 2**43),
    etag=st.none() | exactly(16) | exactly(20),
    commitment=st.none() | exactly(16),
    verifier=st.none() | exactly(32),
    key_id=st.none() | key_ids,
    context=st.none() | st.binary(min_size=1, max_size=256),
    manifest_id=st.none() | exactly(16),
    checksums=checksums,
)
# Bytes that look like items, so that the fuzzing gets past the first of them.
items = st.builds(
    lambda tag, value, long: (
        bytes((tag, 255)) + len(value).to_bytes(2) + value
        if long or len(value) > 254
        else bytes((tag, len(value))) + value
    ),
    st.sampled_from([0, 1, 2, 3, 5, 6, 7, 8, 0x10, 0x11, 0x1A, 0x1B, 255]),
    st.sampled_from([0, 1, 4, 8, 16, 20, 32, 255, 300]).flatmap(exactly),
    st.booleans(),
)


@given(attribute_sets)
def test_decoding_gives_back_what_was_encoded(attributes: Attributes) -> None:
    encoded = attributes.encode()
    assert Attributes.decode(encoded) == attributes
    assert len(encoded) <= 2_048
    assert Attributes.decode(encoded + bytes(9), padded=True) == attributes


@given(st.binary(max_size=60) | st.lists(items, max_size=4).map(b"".join), st.booleans())
def test_whatever_decodes_is_the_canonical_encoding(data: bytes, padded: bool) -> None:
    try:
        attributes = Attributes.decode(data, padded=padded)
    except FormatError:
        return
    encoded = attributes.encode()
    assert data[: len(encoded)] == encoded
    assert not any(data[len(encoded) :])
    assert padded or data == encoded


@given(attribute_sets, st.data())
def test_cut_attributes_never_pass_for_others(attributes: Attributes, draw: st.DataObject) -> None:
    encoded = attributes.encode()
    cut = encoded[: draw.draw(st.integers(0, len(encoded)))]
    try:
        decoded = Attributes.decode(cut)
    except FormatError:
        return
    assert decoded.encode() == cut


def test_the_order_of_checksums_does_not_matter() -> None:
    one = Attributes(checksums={"crc32": b"1234", "sha1": b"s" * 20})
    other = Attributes(checksums={"sha1": b"s" * 20, "crc32": b"1234"})
    assert one.encode() == other.encode() == b"\x10\x041234\x13\x14" + b"s" * 20


def test_the_bytes_are_those_of_the_specification() -> None:
    attributes = Attributes(plain_size=258, key_id="k" * 255, checksums={"crc64ecma": b"12345678"})
    assert attributes.encode() == (
        b"\x01\x08\0\0\0\0\0\0\x01\x02" + b"\x05\xff\x00\xff" + b"k" * 255 + b"\x1a\x0812345678"
    )
    assert Attributes(key_id="k" * 254).encode() == b"\x05\xfe" + b"k" * 254


@pytest.mark.parametrize(("tag", "name"), list(enumerate(CHECKSUM_BYTES, start=0x10)))
def test_each_checksum_has_its_tag(tag: int, name: str) -> None:
    value = b"x" * CHECKSUM_BYTES[name]
    assert Attributes(checksums={name: value}).encode() == bytes((tag, len(value))) + value


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x08\x01x", "unknown"),
        (b"\x1b\x04abcd", "unknown"),
        (b"\x00", "unknown|cut"),
        (b"\x00\x00", "unknown"),
        (b"\x10\x03abc", "has 3 bytes"),
        (b"\x01\x07abcdefg", "has 7 bytes"),
        (b"\x01\x08" + (2**43 + 1).to_bytes(8), "above 2"),
        (b"\x01\x08" + b"\xff" * 8, "above 2"),
        (b"\x02\x11" + bytes(17), "has 17 bytes"),
        (b"\x05\x00", "has 0 bytes"),
        (b"\x05\xff\x04\x01" + b"k" * 1_025, "has 1025 bytes"),
        (b"\x06\xff\x01\x01" + b"k" * 257, "has 257 bytes"),
        (b"\x10\x04abcd\x10\x04abcd", "repeated"),
        (b"\x11\x04abcd\x10\x04abcd", "out of order"),
        (b"\x10\xff\x00\x04abcd", "shortest"),
        (b"\x05\xff\x00\xfe" + b"k" * 254, "shortest"),
        (b"\x10", "cut short"),
        (b"\x10\x04abc", "cut short"),
        (b"\x05\xff\x01", "cut short"),
        (b"\x05\x01\xff", "UTF-8"),
        (b"\x10\x04abcd\x00", "cut short|unknown"),
    ],
)
def test_what_is_not_canonical_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        Attributes.decode(data)


def test_the_largest_plain_size_is_taken() -> None:
    largest = Attributes(plain_size=2**43)
    assert Attributes.decode(largest.encode()) == largest


def test_only_zeros_may_follow_in_a_trailer() -> None:
    with pytest.raises(FormatError, match="after"):
        Attributes.decode(b"\x10\x04abcd\x00\x00\x01", padded=True)


@pytest.mark.parametrize(
    "attributes",
    [
        Attributes(plain_size=-1),
        Attributes(plain_size=2**43 + 1),
        Attributes(plain_size=2**64),
        Attributes(etag=bytes(17)),
        Attributes(commitment=bytes(15)),
        Attributes(key_id=""),
        Attributes(key_id="ü" * 513),
        Attributes(context=bytes(257)),
        Attributes(checksums={"crc32": b"12345"}),
        Attributes(checksums={"crc16": b"12"}),
    ],
)
def test_what_no_item_can_hold_is_the_callers_error(attributes: Attributes) -> None:
    with pytest.raises(ValueError):
        attributes.encode()


def test_etags_are_hex_with_the_part_count_of_a_multipart_object() -> None:
    assert Attributes(etag=bytes(range(16))).etag_text == "000102030405060708090a0b0c0d0e0f"
    multipart = Attributes(etag=bytes(16) + (10_000).to_bytes(4))
    assert multipart.etag_text == "0" * 32 + "-10000"
    with pytest.raises(FormatError):
        _ = Attributes().etag_text


def test_merging_joins_envelope_and_trailer() -> None:
    envelope = Attributes(plain_size=600_000, commitment=b"c" * 16)
    trailer = Attributes(etag=b"e" * 16, checksums={"crc32": b"1234"})
    assert envelope.merged(trailer) == Attributes(
        plain_size=600_000, commitment=b"c" * 16, etag=b"e" * 16, checksums={"crc32": b"1234"}
    )


@pytest.mark.parametrize(
    "trailer", [Attributes(etag=b"f" * 16), Attributes(checksums={"crc32": b"1234"})]
)
def test_no_attribute_may_be_in_both(trailer: Attributes) -> None:
    envelope = Attributes(plain_size=1, etag=b"e" * 16, checksums={"crc32": b"1234"})
    with pytest.raises(FormatError, match=r"etag|crc32"):
        envelope.merged(trailer)


@given(attribute_sets, attribute_sets)
def test_merging_neither_loses_nor_replaces_anything(one: Attributes, other: Attributes) -> None:
    try:
        merged = one.merged(other)
    except FormatError:
        return
    assert len(merged.encode()) == len(one.encode()) + len(other.encode())
    assert merged == other.merged(one)


def test_the_verifier_is_not_shown() -> None:
    assert "secret" not in repr(Attributes(verifier=b"secret" * 5 + b"xx"))
