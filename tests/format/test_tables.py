"""The tables of tests/vectors: sizes, ranges and derivations, row by row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sseproxy.errors import (
    IntegrityError,
)
from sseproxy.format import derive, layout
from sseproxy.format.header import (
    Header,
    part_key,
)
from sseproxy.format.names import ObjectName, composite_of, hkdf, manifest_name, upload_folder
from sseproxy.format.part_record import part_record_key, store_tag
from sseproxy.format.record import root_key_id
from sseproxy.secret import Secret
from tests.testkit.vector import FOLDER


def rows(name: str) -> Iterator[tuple[list[str], list[str]]]:
    for line in (FOLDER / name).read_text().splitlines():
        left, _, right = line.partition(":")
        yield left.split(), right.split()


def test_sizes() -> None:
    for (kind, *numbers), _ in rows("sizes.txt"):
        plain, *sealed = map(int, numbers)
        if kind == "size":
            sizes = [layout.sealed_part_size(plain), layout.sealed_object_size(plain)]
            assert sizes == sealed
            assert layout.plain_part_size(sealed[0]) == plain
            assert layout.plain_object_size(sealed[1]) == plain
            assert layout.is_sealed_object_size(sealed[1])
            continue
        inverse = {"no-part": layout.plain_part_size, "no-object": layout.plain_object_size}[kind]
        with pytest.raises(IntegrityError) as caught:
            inverse(plain)
        assert caught.value.reason == "size"


def test_ranges() -> None:
    for left, right in rows("ranges.txt"):
        found = layout.window(*map(int, left))
        given = (found.first_segment, found.segments, found.sealed_start, found.sealed_stop)
        assert (*given, found.skip, found.plain_length) == tuple(map(int, right)), left


def named(name: str, *items: bytes) -> bytes:
    """What the table has of texts, in hexadecimal there."""
    if name == "composite":
        return composite_of([item.decode() for item in items]).encode()
    if name == "store-tag":
        return store_tag(items[0].decode())
    key = Secret(items[0])
    if name == "manifest-name":
        return manifest_name(key, items[1], items[2].decode()).encode()
    bucket, object_key, upload_id = (item.decode() for item in items[1:])
    return upload_folder(key, ObjectName(bucket, object_key), upload_id).encode()


def derived(name: str, *items: bytes) -> bytes:
    key, rest = Secret(items[0]), items[1:]
    if name == "random-etag":
        return derive.random_etag(key, *rest)
    if name == "customer-upper-key":
        return derive.customer_upper_key(key, Secret(rest[0])).reveal()
    if name == "verifier":
        return derive.verifier(key, Secret(rest[0]), rest[1])
    if name == "root-id":
        return root_key_id(key).to_bytes(4)
    if name == "part-key":
        return part_key(key, rest[0], Header.parse(rest[1])).reveal()
    if name == "part-record-key":
        return part_record_key(key, rest[0], rest[1].decode()).reveal()
    if name == "part-etag":
        return derive.random_part_etag(key, *rest)
    if name == "composite-etag":
        return derive.composite_etag(items)
    if name in ("upload-folder", "composite", "manifest-name", "store-tag"):
        return named(name, *items)
    assert name == "commitment"
    return hkdf(key, b"", "sseproxy/v1/commit").reveal()[:16]


def test_derivations() -> None:
    for (name, *items), (expected,) in rows("derivations.txt"):
        assert derived(name, *map(bytes.fromhex, items)).hex() == expected, name
