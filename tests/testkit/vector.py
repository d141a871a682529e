"""The files of tests/vectors: lines of `name: value`, an empty line, the blob in base64.

expect      success, or the stage that refuses: "segment failure"; see README.md there
payload     SHA-256 of the plaintext that may be released, on failure too
compressed  zlib: the blob was deflated before base64
"""

from __future__ import annotations

import base64
import json
import textwrap
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "vectors"
SUFFIX = ".vector"


@dataclass(frozen=True)
class Vector:
    """One scenario. fields: in the order of the file, a name may occur more than once."""

    fields: tuple[tuple[str, str], ...]
    blob: bytes

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def text(self, name: str) -> str:
        """A field that may hold anything, and is therefore a JSON string."""
        value = json.loads(self.one(name))
        assert isinstance(value, str)
        return value

    def hex(self, name: str) -> bytes | None:
        values = self.all(name)
        return bytes.fromhex(values[0]) if values else None

    def versions(self, name: str) -> dict[int, bytes]:
        """Fields `name: version hex`."""
        pairs = (value.split() for value in self.all(name))
        return {int(version): bytes.fromhex(key) for version, key in pairs}

    def attributes(self) -> dict[int, bytes]:
        """Fields `attribute: tag value`, both in hexadecimal."""
        pairs = (value.split() for value in self.all("attribute"))
        return {int(tag, 16): bytes.fromhex(value) for tag, value in pairs}

    def encode(self) -> str:
        head = "".join(f"{name}: {value}\n" for name, value in self.fields)
        packed = zlib.compress(self.blob, 9) if self.all("compressed") else self.blob
        lines = textwrap.wrap(base64.b64encode(packed).decode(), 76)
        return head + "\n" + "".join(f"{line}\n" for line in lines)


def decode(text: str) -> Vector:
    head, _, body = text.partition("\n\n")
    pairs = (line.split(": ", 1) for line in head.splitlines())
    vector = Vector(tuple((name, value) for name, value in pairs), base64.b64decode(body))
    if vector.all("compressed"):
        return Vector(vector.fields, zlib.decompress(vector.blob))
    return vector


def vector(fields: Iterable[tuple[str, str]], blob: bytes) -> Vector:
    pairs = tuple(fields)
    if len(blob) > 4096:
        pairs += (("compressed", "zlib"),)
    return Vector(pairs, blob)


def load_all(folder: Path = FOLDER) -> dict[str, Vector]:
    return {path.stem: decode(path.read_text()) for path in sorted(folder.glob(f"*{SUFFIX}"))}
