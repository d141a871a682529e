"""Sizes and positions: plain to sealed and back, and ranges as windows of whole segments.

Pure arithmetic on numbers; nothing here sees a byte of data.
"""

from __future__ import annotations

from dataclasses import dataclass

from sseproxy.errors import IntegrityError
from sseproxy.format.header import (
    HEADER_BYTES,
    MAX_PLAIN_BYTES,
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    Header,
)

SMALL_OBJECT_BYTES = 524_288
TRAILER_BYTES = 256


def segment_count(plain_length: int) -> int:
    """How many segments a part of this plain length has; an empty part has one (section 3.4)."""
    return max(1, -(-plain_length // SEGMENT_BYTES))


def segment_start(index: int) -> int:
    """Where sealed segment `index` starts in its part, in bytes (section 3.4)."""
    return HEADER_BYTES + index * SEALED_SEGMENT_BYTES


def needs_trailer(plain_size: int) -> bool:
    """Whether a single-PUT object of this plain size ends with a trailer (section 3.3)."""
    return plain_size > SMALL_OBJECT_BYTES


def object_header(plain_size: int, part_salt: bytes) -> Header:
    """The header of a single-PUT object, as its envelope determines it (section 4.3 step 4)."""
    return Header(1, plain_size, part_salt, needs_trailer(plain_size))


def sealed_part_size(plain_length: int) -> int:
    """Stored bytes of a part without trailer (section 3.4); ValueError outside 0..2^43."""
    if not 0 <= plain_length <= MAX_PLAIN_BYTES:
        raise ValueError(f"plain length {plain_length} is not within 0..2^43")
    return HEADER_BYTES + plain_length + TAG_BYTES * segment_count(plain_length)


def plain_part_size(sealed_size: int) -> int:
    """The inverse of `sealed_part_size`; IntegrityError("size") outside its image."""
    body = sealed_size - HEADER_BYTES
    count = -(-body // SEALED_SEGMENT_BYTES)
    plain_length = body - TAG_BYTES * count
    if not 0 <= plain_length <= MAX_PLAIN_BYTES or sealed_part_size(plain_length) != sealed_size:
        raise IntegrityError("size", f"no part has {sealed_size} stored bytes")
    return plain_length


def sealed_object_size(plain_size: int) -> int:
    """Stored bytes of a single-PUT object (section 3.4); ValueError outside 0..2^43."""
    return sealed_part_size(plain_size) + (TRAILER_BYTES if needs_trailer(plain_size) else 0)


_LARGEST_SMALL = sealed_part_size(SMALL_OBJECT_BYTES)


def plain_object_size(sealed_size: int) -> int:
    """The inverse of `sealed_object_size`; IntegrityError("size") outside its image."""
    if sealed_size <= _LARGEST_SMALL:
        return plain_part_size(sealed_size)
    plain_size = plain_part_size(sealed_size - TRAILER_BYTES)
    if not needs_trailer(plain_size):
        raise IntegrityError("size", f"no object has {sealed_size} stored bytes")
    return plain_size


def is_sealed_object_size(sealed_size: int) -> bool:
    """Whether a single-PUT object can have this many stored bytes (section 3.4)."""
    try:
        plain_object_size(sealed_size)
    except IntegrityError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Window:
    """The run of whole segments that holds a range of the plaintext.

    sealed_start, sealed_stop: offsets in the stored part, stop exclusive; header and trailer
    are never inside. After opening, drop `skip` plain bytes and give `plain_length`.
    """

    first_segment: int
    segments: int
    sealed_start: int
    sealed_stop: int
    skip: int
    plain_length: int


def window(plain_size: int, start: int, stop: int) -> Window:
    """Which segments hold plain bytes start..stop (exclusive) of a part (section 3.4).

    ValueError unless 0 <= start < stop <= plain_size <= 2^43. An empty part has the range 0..0
    only; its window is the one empty segment, which has to be opened like any other.
    """
    body_stop = sealed_part_size(plain_size)
    empty = plain_size == start == stop == 0
    if not empty and not 0 <= start < stop <= plain_size:
        raise ValueError(f"{start}..{stop} is no range of {plain_size} bytes")
    first = start // SEGMENT_BYTES
    last = max(stop - 1, 0) // SEGMENT_BYTES
    return Window(
        first_segment=first,
        segments=last - first + 1,
        sealed_start=segment_start(first),
        sealed_stop=min(segment_start(last + 1), body_stop),
        skip=start - first * SEGMENT_BYTES,
        plain_length=stop - start,
    )
