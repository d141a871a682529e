"""Sizes, their inverses, and ranges: checked against sealed data and by brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import IntegrityError
from sseproxy.format.header import MAX_PLAIN_BYTES, SEALED_SEGMENT_BYTES, SEGMENT_BYTES
from sseproxy.format.layout import (
    SMALL_OBJECT_BYTES,
    Window,
    is_sealed_object_size,
    object_header,
    plain_object_size,
    plain_part_size,
    sealed_object_size,
    sealed_part_size,
    segment_count,
    window,
)
from sseproxy.format.segments import PartOpener, part_cipher

from .helpers import DATA_ID, DEK, EDGES, PART_SALT, data, header, seal

sizes = st.one_of(
    st.integers(0, MAX_PLAIN_BYTES),
    st.sampled_from([*EDGES, MAX_PLAIN_BYTES - 1, MAX_PLAIN_BYTES]),
    st.builds(
        lambda count, delta: max(0, count * SEGMENT_BYTES + delta),
        st.integers(0, 2**27 - 1),
        st.integers(-20, 20),
    ),
)


@pytest.mark.parametrize(
    ("plain", "part", "whole"),
    [
        (0, 80, 80),
        (1, 81, 81),
        (65_535, 65_615, 65_615),
        (65_536, 65_616, 65_616),
        (65_537, 65_633, 65_633),
        (131_072, 131_168, 131_168),
        (524_288, 524_480, 524_480),
        (524_289, 524_497, 524_753),
        (2**43, 64 + 2**43 + 2**31, 64 + 2**43 + 2**31 + 256),
    ],
)
def test_sizes(plain: int, part: int, whole: int) -> None:
    assert sealed_part_size(plain) == part
    assert sealed_object_size(plain) == whole
    assert plain_part_size(part) == plain
    assert plain_object_size(whole) == plain
    assert is_sealed_object_size(whole)


@given(sizes)
def test_the_inverses_give_back_every_size(size: int) -> None:
    assert plain_part_size(sealed_part_size(size)) == size
    assert plain_object_size(sealed_object_size(size)) == size


@pytest.mark.parametrize("centre", [sealed_object_size(edge) for edge in EDGES])
def test_the_inverses_are_defined_exactly_on_the_image(centre: int) -> None:
    window_of_sizes = range(max(0, centre - 400), centre + 400)
    plains = range(max(0, centre - 2_000), centre + 2_000)
    parts = {sealed_part_size(plain) for plain in plains}
    objects = {sealed_object_size(plain) for plain in plains}
    for size in window_of_sizes:
        assert _accepts(plain_part_size, size) == (size in parts)
        assert _accepts(plain_object_size, size) == (size in objects)
        assert is_sealed_object_size(size) == (size in objects)


@given(st.integers(-100, 2**64))
def test_what_an_inverse_accepts_maps_back(size: int) -> None:
    if _accepts(plain_part_size, size):
        assert sealed_part_size(plain_part_size(size)) == size
    if _accepts(plain_object_size, size):
        assert sealed_object_size(plain_object_size(size)) == size


@pytest.mark.parametrize("size", [-1, 0, 63, 64, 79, sealed_object_size(MAX_PLAIN_BYTES) + 1])
def test_impossible_sizes_are_integrity_errors(size: int) -> None:
    with pytest.raises(IntegrityError) as caught:
        plain_object_size(size)
    assert caught.value.reason == "size"
    assert not _accepts(plain_part_size, size)


@pytest.mark.parametrize("size", [-1, MAX_PLAIN_BYTES + 1])
def test_sizes_out_of_bounds_are_the_callers_error(size: int) -> None:
    with pytest.raises(ValueError):
        sealed_part_size(size)
    with pytest.raises(ValueError):
        sealed_object_size(size)


def test_the_header_of_an_object_follows_from_its_envelope() -> None:
    small, large = object_header(524_288, PART_SALT), object_header(524_289, PART_SALT)
    assert (small.has_trailer, large.has_trailer) == (False, True)
    assert (large.part_number, large.plain_length, large.salt) == (1, 524_289, PART_SALT)


def test_windows_of_the_specification() -> None:
    assert window(0, 0, 0) == Window(0, 1, 64, 80, 0, 0)
    assert window(5, 1, 3) == Window(0, 1, 64, 85, 1, 2)
    assert window(200_000, 65_536, 131_072) == Window(1, 1, 65_616, 131_168, 0, 65_536)
    assert window(200_000, 65_535, 65_537) == Window(0, 2, 64, 131_168, 65_535, 2)
    last = window(200_000, 199_999, 200_000)
    assert (last.first_segment, last.sealed_stop) == (3, sealed_part_size(200_000))


@given(st.data())
def test_any_range_through_its_window_is_the_slice(draw: st.DataObject) -> None:
    size = draw.draw(st.sampled_from(EDGES) | st.integers(0, 5 * SEGMENT_BYTES))
    edges = st.sampled_from(EDGES) | st.integers(0, size)
    low, high = sorted(min(draw.draw(edges), size) for _ in range(2))
    if low == high:
        low, high = 0, size
    plain, head = data(size), header(size)
    stored = head.pack() + seal(plain)
    place = window(size, low, high)
    opener = PartOpener(
        part_cipher(DEK, DATA_ID, head),
        head,
        first_segment=place.first_segment,
        segments=place.segments,
    )
    out = bytearray(place.segments * SEGMENT_BYTES)
    opener.open_into(stored[place.sealed_start : place.sealed_stop], memoryview(out))
    opener.finish()
    assert out[place.skip : place.skip + place.plain_length] == plain[low:high]


@given(sizes.filter(bool), st.data())
def test_a_window_is_no_larger_than_it_has_to_be(size: int, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, size - 1))
    stop = draw.draw(st.integers(start + 1, size))
    place = window(size, start, stop)
    assert 0 <= place.skip < SEGMENT_BYTES
    assert (place.segments - 1) * SEGMENT_BYTES < place.skip + place.plain_length
    assert place.segments == segment_count(place.skip + place.plain_length)
    assert place.sealed_stop - place.sealed_start <= place.segments * SEALED_SEGMENT_BYTES
    assert 64 <= place.sealed_start < place.sealed_stop <= sealed_part_size(size)


@pytest.mark.parametrize(
    ("size", "start", "stop"), [(0, 0, 1), (5, 0, 0), (5, 3, 3), (5, 4, 3), (5, -1, 3), (5, 0, 6)]
)
def test_what_is_no_range_is_the_callers_error(size: int, start: int, stop: int) -> None:
    with pytest.raises(ValueError):
        window(size, start, stop)


def test_small_objects_are_eight_segments() -> None:
    assert segment_count(SMALL_OBJECT_BYTES) == 8


def _accepts(inverse: object, size: int) -> bool:
    assert callable(inverse)
    try:
        inverse(size)
    except IntegrityError:
        return False
    return True
