"""A listing cut into its entries as bytes, so that those that are known need no parsing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_BEGIN, _END = b"<Contents>", b"</Contents>"
_ENCODED = re.compile(rb"EncodingType>url</")


@dataclass(frozen=True, slots=True)
class ListingPieces:
    """What is before the entries, each entry from `<Contents>` to `</Contents>`, what follows."""

    head: bytes
    entries: list[bytes]
    tail: bytes

    @classmethod
    def cut(cls, body: bytes) -> Self | None:
        """The pieces of a ListBucketResult; None where only a parser can tell them.

        That is so with comments and CDATA, prefixes, attributes, text between entries, and
        without any entry.
        """
        *entries, tail = body.split(_END)
        if not entries or b"<!" in body or body.count(_BEGIN) != len(entries):
            return None
        head, _, first = entries[0].partition(_BEGIN)
        entries[0] = _BEGIN + first
        if not all(entry.startswith(_BEGIN) for entry in entries):
            return None
        return cls(head, [entry + _END for entry in entries], tail)

    @property
    def url_encoded(self) -> bool:
        """Whether the keys are: the same bytes are another key then."""
        return bool(_ENCODED.search(self.head) or _ENCODED.search(self.tail))

    def joined(self, entries: Iterable[bytes]) -> bytes:
        """The listing with these entries."""
        return b"".join((self.head, *entries, self.tail))
