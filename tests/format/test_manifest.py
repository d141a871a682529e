"""Manifests: one encoding each, and ranges as windows of parts that lie one behind the other."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import FormatError, IntegrityError
from sseproxy.format.attributes import CHECKSUM_BYTES, Attributes
from sseproxy.format.header import HEADER_BYTES, Header
from sseproxy.format.layout import sealed_part_size
from sseproxy.format.manifest import Manifest, ManifestPart
from sseproxy.format.names import ObjectName, lp
from sseproxy.format.segments import PartOpener, part_cipher

from .helpers import DATA_ID, DEK, NAME, data, header, seal
from .test_attributes import checksums, exactly

ETAG = b"e" * 16 + b"\0\0\0\2"
algorithms = st.none() | st.sampled_from(sorted(CHECKSUM_BYTES))


def part(number: int, size: int, checksum: bytes = b"") -> ManifestPart:
    return ManifestPart(number, size, number.to_bytes(16), checksum)


def manifest(*sizes: int, **fields: Any) -> Manifest:
    """Of parts 1, 2, 3 ... of these plain sizes."""
    parts = tuple(part(number, size) for number, size in enumerate(sizes, start=1))
    whole: dict[str, Any] = {"name": NAME, "data_id": DATA_ID, "etag": ETAG, "parts": parts}
    return Manifest(**(whole | fields))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    algorithm = draw(algorithms)
    width = 0 if algorithm is None else CHECKSUM_BYTES[algorithm]
    numbers = sorted(draw(st.sets(st.integers(1, 10_000), min_size=1, max_size=6)))
    sizes = st.integers(0, 2**43)
    return Manifest(
        name=ObjectName(draw(st.text(max_size=9)), draw(st.text(max_size=9))),
        data_id=draw(exactly(16)),
        etag=draw(exactly(16) | exactly(20)),
        checksums=draw(checksums),
        composite=draw(st.booleans()),
        one_piece=draw(st.booleans()),
        rebuilt=draw(st.booleans()),
        part_checksum=algorithm,
        parts=tuple(
            ManifestPart(number, draw(sizes), draw(exactly(16)), draw(exactly(width)))
            for number in numbers
        ),
    )


@given(manifests())
def test_decoding_gives_back_what_was_encoded(one: Manifest) -> None:
    assert Manifest.decode(one.encode()) == one


@given(manifests(), st.data())
def test_whatever_decodes_is_the_canonical_encoding(one: Manifest, draw: st.DataObject) -> None:
    encoded = bytearray(one.encode())
    position = draw.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= draw.draw(st.integers(1, 255))
    try:
        decoded = Manifest.decode(bytes(encoded))
    except FormatError:
        return
    assert decoded != one
    assert decoded.encode() == encoded


@given(manifests(), st.data())
def test_a_cut_or_longer_manifest_is_none(one: Manifest, draw: st.DataObject) -> None:
    encoded = one.encode()
    cut = encoded[: draw.draw(st.integers(0, len(encoded) - 1))]
    for other in (cut, encoded + b"\0"):
        with pytest.raises(FormatError):
            Manifest.decode(other)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_format_errors_only(payload: bytes) -> None:
    with pytest.raises(FormatError):
        Manifest.decode(payload)


def test_the_bytes_are_those_of_the_specification() -> None:
    one = Manifest(
        name=NAME,
        data_id=DATA_ID,
        etag=ETAG,
        checksums={"crc32": b"crc!"},
        composite=True,
        part_checksum="crc32c",
        parts=(part(3, 258, b"1234"), part(9, 0, b"5678")),
    )
    head = b"\x01" + NAME.lp() + DATA_ID + lp(b"\x02\x14" + ETAG + b"\x10\x04crc!")
    rows = struct.pack(">IQ16s4s", 3, 258, (3).to_bytes(16), b"1234")
    rows += struct.pack(">IQ16s4s", 9, 0, (9).to_bytes(16), b"5678")
    assert one.encode() == head + b"\x11" + b"\0\0\0\2" + rows


@pytest.mark.parametrize(("flag", "field"), [(1, "composite"), (2, "one_piece"), (4, "rebuilt")])
def test_each_flag_has_its_bit(flag: int, field: str) -> None:
    assert manifest(5).encode()[0] == 0
    assert manifest(5, **{field: True}).encode()[0] == flag


def test_ten_thousand_parts_and_not_one_more() -> None:
    most = manifest(*range(10_000))
    encoded = most.encode()
    assert Manifest.decode(encoded) == most
    assert most.plain_size == sum(range(10_000))
    with pytest.raises(ValueError, match="10001"):
        manifest(*range(10_001))
    start = len(encoded) - 28 * 10_000 - 4
    row = struct.pack(">IQ16s", 10_001, 0, bytes(16))
    more = encoded[:start] + struct.pack(">I", 10_001) + encoded[start + 4 :] + row
    with pytest.raises(FormatError, match="10001 parts"):
        Manifest.decode(more)


def test_the_largest_object_has_a_size() -> None:
    largest = manifest(*([2**43] * 10_000))
    assert largest.plain_size == 10_000 * 2**43
    assert largest.part_span(9_999) == (9_999 * 2**43, 10_000 * 2**43)


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        (Attributes(etag=ETAG, plain_size=5), "only"),
        (Attributes(etag=ETAG, commitment=bytes(16)), "only"),
        (Attributes(etag=ETAG, manifest_id=bytes(16)), "only"),
        (Attributes(checksums={"crc32": b"crc!"}), "without ETag"),
        (Attributes(), "without ETag"),
    ],
)
def test_nothing_but_an_etag_and_checksums_is_taken(attributes: Attributes, problem: str) -> None:
    own, other = Attributes(etag=ETAG).encode(), attributes.encode()
    with pytest.raises(FormatError, match=problem):
        Manifest.decode(manifest(5).encode().replace(lp(own), lp(other)))


@pytest.mark.parametrize("tag", [2, 0x0F, 0x1B, 0xFF])
def test_a_checksum_that_is_none_is_refused(tag: int) -> None:
    encoded = bytearray(manifest(5).encode())
    encoded[-28 - 4 - 1] = tag
    with pytest.raises(FormatError, match=f"{tag:#04x}"):
        Manifest.decode(bytes(encoded))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"data_id": bytes(15)}, "data id"),
        ({"etag": bytes(17)}, "etag"),
        ({"checksums": {"crc32": bytes(5)}}, "crc32"),
        ({"checksums": {"crc16": bytes(2)}}, "crc16"),
        ({"part_checksum": "crc16"}, "crc16"),
        ({"part_checksum": "crc32"}, "wrong length"),
        ({"parts": ()}, "not 0"),
        ({"parts": (part(0, 5),)}, "within"),
        ({"parts": (part(10_001, 5),)}, "within"),
        ({"parts": (part(1, -1),)}, "within"),
        ({"parts": (part(1, 2**43 + 1),)}, "within"),
        ({"parts": (part(1, 5, b"x"),)}, "wrong length"),
        ({"parts": (ManifestPart(1, 5, bytes(15)),)}, "wrong length"),
        ({"parts": (part(2, 5), part(2, 5))}, "ascend"),
        ({"parts": (part(2, 5), part(1, 5))}, "ascend"),
    ],
)
def test_what_no_manifest_can_hold_is_the_callers_error(
    fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        manifest(5, **fields)


def test_a_manifest_is_that_of_one_object() -> None:
    one = manifest(5)
    one.check(NAME, DATA_ID)
    for name, data_id in (
        (ObjectName("bucket2", NAME.key), DATA_ID),
        (replace(NAME, key="other"), DATA_ID),
        (NAME, bytes(16)),
    ):
        with pytest.raises(IntegrityError) as caught:
            one.check(name, data_id)
        assert caught.value.reason == "record"


def test_etags_are_shown_as_clients_see_them() -> None:
    assert manifest(5).etag_text == b"e".hex() * 16 + "-2"
    assert manifest(5, etag=b"e" * 16).etag_text == b"e".hex() * 16


def test_headers_are_rebuilt() -> None:
    one = manifest(5, 70_000)
    assert one.header(1) == Header(2, 70_000, (2).to_bytes(16), has_trailer=False)


def test_sizes_and_spans_are_sums() -> None:
    one = manifest(5, 0, 70_000)
    assert one.plain_size == 70_005
    assert one.sealed_size == sealed_part_size(5) + sealed_part_size(0) + sealed_part_size(70_000)
    assert [one.part_span(index) for index in range(3)] == [(0, 5), (5, 5), (5, 70_005)]


# Windows

sizes = st.lists(
    st.sampled_from([0, 0, 1, 5, 65_535, 65_536, 65_537, 140_000]), min_size=1, max_size=5
)


@given(sizes, st.data())
def test_a_range_is_its_slice(plain_sizes: list[int], draw: st.DataObject) -> None:
    """Read as a reader does: one run of stored bytes, the headers in it compared."""
    plains = [data(size, seed) for seed, size in enumerate(plain_sizes)]
    heads = [header(len(plain), number=i, salt=i.to_bytes(16)) for i, plain in enumerate(plains, 1)]
    stored = b"".join(
        head.pack() + seal(plain, head) for head, plain in zip(heads, plains, strict=True)
    )
    one, whole = manifest(*plain_sizes), b"".join(plains)
    assert one.sealed_size == len(stored)
    start, stop = 0, len(whole)
    if draw.draw(st.booleans()) and whole:
        start = draw.draw(st.integers(0, len(whole) - 1))
        stop = draw.draw(st.integers(start + 1, len(whole)))

    windows = one.windows(start, stop)
    opened = bytearray()
    for found in windows:
        at, run = found.sealed_start, found.window
        found.header.check(stored[at : at + HEADER_BYTES])
        out = bytearray(run.segments * 65_536)
        opener = PartOpener(
            part_cipher(DEK, DATA_ID, found.header),
            found.header,
            first_segment=run.first_segment,
            segments=run.segments,
        )
        opener.open_into(stored[at + run.sealed_start : at + run.sealed_stop], memoryview(out))
        opener.finish()
        opened += out[run.skip : run.skip + run.plain_length]
    assert opened == whole[start:stop]
    for before, after in pairwise(windows):
        assert before.sealed_start + before.window.sealed_stop == after.sealed_start
        assert after.window.sealed_start == HEADER_BYTES
    if (start, stop) == (0, len(whole)):
        last = windows[-1]
        assert len(windows) == len(plains)
        assert (windows[0].sealed_start, windows[0].window.sealed_start) == (0, HEADER_BYTES)
        assert last.sealed_start + last.window.sealed_stop == len(stored)


def numbers(one: Manifest, start: int, stop: int) -> list[int]:
    return [found.header.part_number for found in one.windows(start, stop)]


def test_a_range_takes_the_parts_that_it_touches() -> None:
    one = manifest(0, 5, 0, 5, 0)
    assert numbers(one, 1, 5) == [2]
    assert numbers(one, 4, 6) == [2, 3, 4]
    assert numbers(one, 5, 9) == [4]
    assert numbers(one, 0, 10) == [1, 2, 3, 4, 5]


def test_an_empty_range_is_that_of_the_empty_parts_there() -> None:
    assert numbers(manifest(0), 0, 0) == [1]
    assert numbers(manifest(0, 0), 0, 0) == [1, 2]
    one = manifest(0, 5, 0, 0, 5, 0)
    assert numbers(one, 0, 0) == [1]
    assert numbers(one, 5, 5) == [3, 4]
    assert numbers(one, 10, 10) == [6]
    for index in range(6):
        assert index + 1 in numbers(one, *one.part_span(index))


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 0), (3, 3), (5, 5), (10, 10), (-1, 5), (6, 5), (0, 11), (11, 11)]
)
def test_what_is_no_range_is_the_callers_error(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=r"no range|no part"):
        manifest(5, 5).windows(start, stop)
