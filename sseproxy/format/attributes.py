"""Attributes: what is sealed about an object, as a sequence of tagged items.

One table says which items there are and how long each may be; encoder and decoder both follow
it. The encoding is canonical: equal attributes give equal bytes, and no other bytes decode.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace

from sseproxy.errors import FormatError
from sseproxy.format.header import MAX_PLAIN_BYTES
from sseproxy.format.layout import needs_trailer

# Tags, in their order, with the lengths that their values may have (section 4.2).
_FIELDS: dict[int, tuple[str, Container[int]]] = {
    0x01: ("plain_size", (8,)),
    0x02: ("etag", (16, 20)),
    0x03: ("commitment", (16,)),
    0x04: ("verifier", (32,)),
    0x05: ("key_id", range(1, 1025)),
    0x06: ("context", range(1, 257)),
    0x07: ("manifest_id", (16,)),
}
_CHECKSUMS: dict[int, tuple[str, int]] = {
    0x10: ("crc32", 4),
    0x11: ("crc32c", 4),
    0x12: ("crc64nvme", 8),
    0x13: ("sha1", 20),
    0x14: ("sha256", 32),
    0x15: ("sha512", 64),
    0x16: ("md5", 16),
    0x17: ("xxhash64", 8),
    0x18: ("xxhash3", 8),
    0x19: ("xxhash128", 16),
    0x1A: ("crc64ecma", 8),
}
_ITEMS = _FIELDS | {tag: (name, (size,)) for tag, (name, size) in _CHECKSUMS.items()}

# The tag of each checksum algorithm, and the bytes of its digest.
CHECKSUM_TAGS: Mapping[str, int] = {name: tag for tag, (name, _) in _CHECKSUMS.items()}
CHECKSUM_BYTES: Mapping[str, int] = dict(_CHECKSUMS.values())

_SHORT = struct.Struct(">BB")
_LONG = struct.Struct(">BBH")
_LONG_MARK = 0xFF
_ETAG_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is known of an object; None, or no entry, for what is not (section 4.2).

    plain_size: bytes; etag: 16 bytes, or 20 with the part count of a multipart object; key_id:
    the KMS key as the client is told it; context: canonical JSON; checksums: big-endian digests
    by algorithm (crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5, xxhash64, xxhash3,
    xxhash128, crc64ecma).
    """

    plain_size: int | None = None
    etag: bytes | None = None
    commitment: bytes | None = None
    verifier: bytes | None = field(default=None, repr=False)
    key_id: str | None = None
    context: bytes | None = None
    manifest_id: bytes | None = None
    checksums: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def etag_text(self) -> str:
        """The ETag unquoted: hex, then "-N" if multipart; FormatError if there is none."""
        if self.etag is None:
            raise FormatError("these attributes hold no ETag")
        return etag_text(self.etag)

    def encode(self) -> bytes:
        """The canonical bytes (section 4.2); ValueError for a value that no item can hold."""
        unknown = self.checksums.keys() - CHECKSUM_TAGS
        if unknown:
            raise ValueError(f"no attribute holds the checksums {sorted(unknown)}")
        encoded = bytearray()
        for tag, name, lengths, value in self._known():
            if len(value) not in lengths:
                raise ValueError(f"{name} of {len(value)} bytes")
            short = len(value) < _LONG_MARK
            encoded += (
                _SHORT.pack(tag, len(value)) if short else _LONG.pack(tag, _LONG_MARK, len(value))
            )
            encoded += value
        return bytes(encoded)

    def _known(self) -> Iterator[tuple[int, str, Container[int], bytes]]:
        """Tag, name, allowed lengths and value of what is there, in the order of the tags."""
        for tag, (name, lengths) in _FIELDS.items():
            value: int | bytes | str | None = getattr(self, name)
            if isinstance(value, bytes):
                yield tag, name, lengths, value
            elif value is not None:
                yield (
                    *(tag, name, lengths),
                    value.encode() if isinstance(value, str) else _pack_size(value),
                )
        for tag in sorted(CHECKSUM_TAGS[name] for name in self.checksums):
            name, size = _CHECKSUMS[tag]
            yield tag, name, (size,), self.checksums[name]

    def committed(self, commitment: bytes) -> Attributes:
        """These attributes with a commitment (`replace`, without its cost)."""
        return Attributes(
            plain_size=self.plain_size,
            etag=self.etag,
            commitment=commitment,
            verifier=self.verifier,
            key_id=self.key_id,
            context=self.context,
            manifest_id=self.manifest_id,
            checksums=self.checksums,
        )

    @classmethod
    def decode(cls, data: bytes, *, padded: bool = False) -> Attributes:
        """Read attributes as v1 allows them, else FormatError (section 4.2).

        padded: a trailer's, where zeros may follow the last item; nothing else may.
        """
        values: dict[str, bytes] = {}
        previous = 0
        for tag, value in _items(data, padded=padded):
            if tag not in _ITEMS:
                raise FormatError(f"unknown attribute {tag:#04x}")
            name, lengths = _ITEMS[tag]
            if tag <= previous:
                raise FormatError(f"attribute {tag:#04x} is repeated or out of order")
            if len(value) not in lengths:
                raise FormatError(f"attribute {tag:#04x} has {len(value)} bytes")
            values[name], previous = value, tag
        size, key_id = values.get("plain_size"), values.get("key_id")
        if size is not None and int.from_bytes(size) > MAX_PLAIN_BYTES:
            raise FormatError("the plain size is above 2^43")
        try:
            key_id_text = None if key_id is None else key_id.decode()
        except UnicodeDecodeError:
            raise FormatError("the key id is not UTF-8") from None
        return cls(
            plain_size=None if size is None else int.from_bytes(size),
            etag=values.get("etag"),
            commitment=values.get("commitment"),
            verifier=values.get("verifier"),
            key_id=key_id_text,
            context=values.get("context"),
            manifest_id=values.get("manifest_id"),
            checksums={name: values[name] for name in values if name in CHECKSUM_TAGS},
        )

    def merged(self, other: Attributes) -> Attributes:
        """These attributes and those of the trailer or manifest (section 4.2).

        FormatError if both hold the same one: no tag occurs in both.
        """
        added = {
            item.name: getattr(other, item.name)
            for item in fields(other)
            if item.name != "checksums" and getattr(other, item.name) is not None
        }
        twice = [name for name in added if getattr(self, name) is not None]
        twice += self.checksums.keys() & other.checksums.keys()
        if twice:
            raise FormatError(f"in the envelope and beyond: {', '.join(sorted(twice))}")
        return replace(self, **added, checksums={**self.checksums, **other.checksums})


def etag_text(etag: bytes) -> str:
    """An ETag of 16 or 20 bytes as clients see it, unquoted: hex, then "-N" if it has a count."""
    text, count = etag[:_ETAG_BYTES].hex(), etag[_ETAG_BYTES:]
    return f"{text}-{int.from_bytes(count)}" if count else text


def envelope_problem(attributes: Attributes, *, customer_key: bool, part_salt: bool) -> str | None:
    """Why no envelope can hold these attributes; None if one can (section 4.2).

    customer_key: its mode is SSE-C; part_salt: it has one, other than zeros.
    """
    size, multipart = attributes.plain_size, attributes.manifest_id is not None
    if attributes.commitment is None:
        return "an envelope without commitment"
    if (attributes.verifier is not None) != customer_key:
        return "an envelope has a verifier exactly in mode SSE-C"
    if (size is None) != multipart:
        return "an envelope has either a plain size or a manifest id"
    if part_salt == multipart:
        return "an envelope has either a part salt or a manifest id"
    if size is None or needs_trailer(size):
        early = attributes.etag is not None or attributes.checksums
        place = "with a trailer" if size is not None else "with a manifest"
        return f"an envelope of an object {place} has no ETag or checksums" if early else None
    return "an envelope without the ETag of a small object" if attributes.etag is None else None


def digests_problem(attributes: Attributes, place: str) -> str | None:
    """Why `place`, a trailer or a manifest, can't hold these attributes (sections 4.2 and 5.4).

    None if it can: an ETag, and possibly checksums.
    """
    if attributes != Attributes(etag=attributes.etag, checksums=attributes.checksums):
        return f"{place} holds ETag and checksums only"
    return f"{place} without ETag" if attributes.etag is None else None


def _pack_size(size: int) -> bytes:
    if not 0 <= size <= MAX_PLAIN_BYTES:
        raise ValueError(f"plain size {size} is not within 0..2^43")
    return size.to_bytes(8)


def _items(data: bytes, *, padded: bool) -> Iterator[tuple[int, bytes]]:
    """The (tag, value) pairs of the bytes; FormatError where they are cut or not canonical."""
    position = 0
    while position < len(data):
        if padded and data[position] == 0:
            if any(data[position:]):
                raise FormatError("bytes after the attributes")
            return
        try:
            tag, length = _SHORT.unpack_from(data, position)
            start = position + _SHORT.size
            if length == _LONG_MARK:
                tag, _, length = _LONG.unpack_from(data, position)
                start = position + _LONG.size
                if length < _LONG_MARK:
                    raise FormatError("an attribute's length is not in its shortest form")
        except struct.error:
            raise FormatError("the attributes are cut short") from None
        position = start + length
        if position > len(data):
            raise FormatError("the attributes are cut short")
        yield tag, data[start:position]
