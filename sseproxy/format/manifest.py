"""The manifest: what a multipart object consists of, and where its bytes lie (section 5.4)."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from sseproxy.errors import FormatError, IntegrityError
from sseproxy.format.attributes import (
    CHECKSUM_BYTES,
    CHECKSUM_TAGS,
    Attributes,
    digests_problem,
    etag_text,
)
from sseproxy.format.header import MAX_PART_NUMBER, MAX_PLAIN_BYTES, Header
from sseproxy.format.layout import Window, sealed_part_size, window
from sseproxy.format.names import ID_BYTES, SALT_BYTES, ObjectName, lp

_COMPOSITE, _ONE_PIECE, _REBUILT = 1, 2, 4
_U32 = struct.Struct(">I")
_PART = ">IQ16s{}s"  # number, plain size, salt, checksum
_ALGORITHMS: Mapping[int, str | None] = {0: None} | {
    tag: name for name, tag in CHECKSUM_TAGS.items()
}


@dataclass(frozen=True, slots=True)
class ManifestPart:
    """A part as its manifest has it: number, plain bytes, the header's salt, its checksum."""

    number: int
    plain_size: int
    salt: bytes
    checksum: bytes = b""


@dataclass(frozen=True, slots=True)
class PartWindow:
    """The run of whole segments of one part that holds what is wanted of it.

    sealed_start: where the part, beginning with its header, lies in the stored object; `window`
    counts from there.
    """

    header: Header
    window: Window
    sealed_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a multipart object consists of (section 5.4).

    etag: 16 bytes, or 20 with a part count; checksums: of the object, by algorithm; composite:
    they are of the parts' checksums (CRC-64/XZ never is); one_piece: the parts are not the
    client's, and not shown; rebuilt: by repair; part_checksum: the algorithm of the parts'
    checksums; parts: in the order of the data, numbers ascending. ValueError for what no
    manifest can hold.
    """

    name: ObjectName
    data_id: bytes
    etag: bytes
    checksums: Mapping[str, bytes] = field(default_factory=dict)
    composite: bool = False
    one_piece: bool = False
    rebuilt: bool = False
    part_checksum: str | None = None
    parts: tuple[ManifestPart, ...]
    _plain: array[int] = field(init=False, repr=False, compare=False)
    _sealed: array[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.data_id) != ID_BYTES:
            raise ValueError("a data id has 16 bytes")
        _check_parts(self.parts, self.part_checksum)
        Attributes(etag=self.etag, checksums=self.checksums).encode()
        # Where each part starts, and after them the end; kept, as every range needs them.
        plain = (part.plain_size for part in self.parts)
        sealed = (sealed_part_size(part.plain_size) for part in self.parts)
        object.__setattr__(self, "_plain", array("Q", accumulate(plain, initial=0)))
        object.__setattr__(self, "_sealed", array("Q", accumulate(sealed, initial=0)))

    @property
    def plain_size(self) -> int:
        """Plain bytes of the object."""
        return self._plain[-1]

    @property
    def sealed_size(self) -> int:
        """Stored bytes of the object."""
        return self._sealed[-1]

    @property
    def etag_text(self) -> str:
        """The ETag as clients see it, unquoted."""
        return etag_text(self.etag)

    def check(self, name: ObjectName, data_id: bytes) -> None:
        """IntegrityError("record") unless this is the manifest of such an object (section 5.4)."""
        if (self.name, self.data_id) != (name, data_id):
            raise IntegrityError("record", "the manifest is that of another object")

    def header(self, index: int) -> Header:
        """The header of the part at `index` of `parts`, as it is stored (section 4.3 step 4)."""
        part = self.parts[index]
        return Header(part.number, part.plain_size, part.salt, has_trailer=False)

    def part_span(self, index: int) -> tuple[int, int]:
        """Where the part's plaintext lies in the object's: start, and stop (exclusive)."""
        return self._plain[index], self._plain[index + 1]

    def windows(self, start: int, stop: int) -> list[PartWindow]:
        """Which segments of which parts hold plain bytes start..stop (exclusive) of the object.

        In the order of the data, with nothing but headers between them in the stored object. The
        whole object has a window of every part, the empty ones at its ends too. An empty range is
        that of the empty parts at its place. ValueError for what is no range of the object.
        """
        starts, size = self._plain, self.plain_size
        if not 0 <= start <= stop <= size:
            raise ValueError(f"{start}..{stop} is no range of {size} bytes")
        if start == stop:
            first, last = bisect_left(starts, start), bisect_right(starts, start) - 2
            if last < first:
                raise ValueError(f"no part of the object is empty at {start}")
        else:
            first = bisect_right(starts, start) - 1 if start else 0
            last = bisect_left(starts, stop) - 1 if stop < size else len(self.parts) - 1
        return [self._window(index, start, stop) for index in range(first, last + 1)]

    def _window(self, index: int, start: int, stop: int) -> PartWindow:
        part_start, part_stop = self.part_span(index)
        wanted = (max(start, part_start) - part_start, min(stop, part_stop) - part_start)
        found = window(part_stop - part_start, *wanted)
        return PartWindow(self.header(index), found, self._sealed[index])

    def encode(self) -> bytes:
        """The payload of the manifest's record (section 5.4)."""
        flags = self.composite * _COMPOSITE | self.one_piece * _ONE_PIECE | self.rebuilt * _REBUILT
        tag = 0 if self.part_checksum is None else CHECKSUM_TAGS[self.part_checksum]
        attributes = Attributes(etag=self.etag, checksums=self.checksums).encode()
        head = bytes((flags,)) + self.name.lp() + self.data_id + lp(attributes)
        pack = _part_struct(self.part_checksum).pack
        rows = (pack(part.number, part.plain_size, part.salt, part.checksum) for part in self.parts)
        return head + bytes((tag,)) + _U32.pack(len(self.parts)) + b"".join(rows)

    @classmethod
    def decode(cls, payload: bytes) -> Manifest:
        """Read an opened manifest, trusting none of it; FormatError unless v1 allows it."""
        try:
            return cls._read(_Cursor(payload))
        except ValueError as error:
            raise FormatError(f"no manifest: {error}") from None

    @classmethod
    def _read(cls, cursor: _Cursor) -> Manifest:
        flags = cursor.take(1)[0]
        if flags & ~(_COMPOSITE | _ONE_PIECE | _REBUILT):
            raise ValueError(f"unknown flags {flags:#04x}")
        name = ObjectName(cursor.take_lp().decode(), cursor.take_lp().decode())
        data_id = cursor.take(ID_BYTES)
        attributes = Attributes.decode(cursor.take_lp())
        problem = digests_problem(attributes, "a manifest")
        if problem or attributes.etag is None:
            raise ValueError(problem)
        tag = cursor.take(1)[0]
        if tag not in _ALGORITHMS:
            raise ValueError(f"a checksum {tag:#04x}")
        row = _part_struct(_ALGORITHMS[tag])
        (count,) = _U32.unpack(cursor.take(_U32.size))
        rows = cursor.rest()
        # Before a row is read: as many as are announced, and no more than an object can have.
        if count > MAX_PART_NUMBER or len(rows) != count * row.size:
            raise ValueError(f"{count} parts in {len(rows)} bytes")
        return cls(
            name=name,
            data_id=data_id,
            etag=attributes.etag,
            checksums=attributes.checksums,
            composite=bool(flags & _COMPOSITE),
            one_piece=bool(flags & _ONE_PIECE),
            rebuilt=bool(flags & _REBUILT),
            part_checksum=_ALGORITHMS[tag],
            parts=tuple(ManifestPart(*fields) for fields in row.iter_unpack(rows)),
        )


class _Cursor:
    """Takes bytes off the front of a payload; ValueError where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def take(self, count: int) -> bytes:
        start, stop = self._position, self._position + count
        if stop > len(self._data):
            raise ValueError("cut short")
        self._position = stop
        return self._data[start:stop]

    def take_lp(self) -> bytes:
        """An item that lp() wrote."""
        (length,) = _U32.unpack(self.take(_U32.size))
        return self.take(length)

    def rest(self) -> bytes:
        return self._data[self._position :]


def _check_parts(parts: tuple[ManifestPart, ...], algorithm: str | None) -> None:
    """ValueError for a part table that no manifest has."""
    if algorithm is not None and algorithm not in CHECKSUM_BYTES:
        raise ValueError(f"no checksum is called {algorithm!r}")
    if not 1 <= len(parts) <= MAX_PART_NUMBER:
        raise ValueError(f"an object has 1 to {MAX_PART_NUMBER} parts, not {len(parts)}")
    digest = _checksum_bytes(algorithm)
    for part in parts:
        if not 1 <= part.number <= MAX_PART_NUMBER:
            raise ValueError(f"part number {part.number} is not within 1..{MAX_PART_NUMBER}")
        if not 0 <= part.plain_size <= MAX_PLAIN_BYTES:
            raise ValueError(f"plain size {part.plain_size} is not within 0..2^43")
        if len(part.salt) != SALT_BYTES or len(part.checksum) != digest:
            raise ValueError(f"salt or checksum of part {part.number} has a wrong length")
    if any(one.number >= other.number for one, other in pairwise(parts)):
        raise ValueError("the part numbers do not ascend")


def _checksum_bytes(algorithm: str | None) -> int:
    return 0 if algorithm is None else CHECKSUM_BYTES[algorithm]


def _part_struct(algorithm: str | None) -> struct.Struct:
    return struct.Struct(_PART.format(_checksum_bytes(algorithm)))
