"""What lies in the store's own files: sealed objects by their headers, and any bytes at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sseproxy.errors import FormatError
from sseproxy.format.header import HEADER_BYTES, MAGIC, Header


@dataclass(frozen=True, slots=True)
class Found:
    """A place in a file of the store, and the bytes from there on."""

    file: Path
    offset: int
    start: bytes

    @property
    def place(self) -> str:
        """File name and offset, for a table."""
        return f"{self.file.name}:{self.offset}"


def find(folder: Path, wanted: bytes) -> list[Found]:
    """Every place below `folder` where `wanted` lies in a file."""
    found = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            found += [Found(file, at, content[at : at + 64]) for at in _places(content, wanted)]
    return found


def sealed_objects(folder: Path) -> dict[int, Found]:
    """The sealed objects below `folder` by the plain size in their headers."""
    sealed = {}
    for place in find(folder, MAGIC):
        try:
            header = Header.parse(place.start[:HEADER_BYTES])
        except FormatError:
            continue
        sealed[header.plain_length] = place
    return sealed


def _places(content: bytes, wanted: bytes) -> Iterator[int]:
    at = content.find(wanted)
    while at >= 0:
        yield at
        at = content.find(wanted, at + 1)
