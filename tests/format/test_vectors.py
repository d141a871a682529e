"""Every file of tests/vectors against sseproxy.format, and against the kit that wrote it.

A refusal is right only if it comes at the step, and with the reason, that the vector names.
"""

from __future__ import annotations

import hashlib

import pytest

from sseproxy.errors import (
    SseProxyError,
)
from sseproxy.format.attributes import CHECKSUM_TAGS
from sseproxy.format.envelope import Envelope
from sseproxy.format.manifest import Manifest
from sseproxy.format.record import record_key_version
from tests.format.reader import REASONS, Reader, Stopped, as_items
from tests.testkit.generate import build
from tests.testkit.reading import outcome
from tests.testkit.tables import TABLES
from tests.testkit.vector import FOLDER, load_all

VECTORS = load_all()


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    vector = VECTORS[name]
    reader = Reader(vector)
    found = "success"
    try:
        reader.read()
    except Stopped as stopped:
        found = f"{stopped.stage} failure"
    assert found == vector.one("expect"), vector.one("comment")
    assert hashlib.sha256(reader.released).hexdigest() == vector.one("payload")
    if found == "success" and reader.attributes is not None:
        assert as_items(reader.attributes) == vector.attributes()
    if found == "success" and reader.manifest is not None:
        assert manifest_fields(reader.manifest) == [
            *vector.all("manifest-flags"),
            *vector.all("part-checksum"),
            *vector.all("part"),
        ]
    if found == "success" and vector.one("kind") in ("object", "envelope", "multipart"):
        text = vector.text("envelope")
        assert Envelope.decode(text).encode() == text


def manifest_fields(manifest: Manifest) -> list[str]:
    """What a vector says of its manifest, besides the attributes."""
    flags = manifest.composite + 2 * manifest.one_piece + 4 * manifest.rebuilt
    algorithm = manifest.part_checksum
    tag = 0 if algorithm is None else CHECKSUM_TAGS[algorithm]
    parts = (
        f"{one.number} {one.plain_size} {one.salt.hex()} {one.checksum.hex()}".rstrip()
        for one in manifest.parts
    )
    return [str(flags), f"{tag:02x}", *parts]


@pytest.mark.parametrize("name", [n for n in VECTORS if n.startswith("record-")])
def test_key_version_of_a_record_is_refused_like_the_record(name: str) -> None:
    vector = VECTORS[name]
    if vector.one("expect") == "success":
        assert record_key_version(vector.blob) in vector.versions("record-key")
    elif vector.one("expect") == "version failure" or len(vector.blob) < 38:
        with pytest.raises(SseProxyError):
            record_key_version(vector.blob)


def test_vectors_cover_every_outcome() -> None:
    expected = {vector.one("expect") for vector in VECTORS.values()}
    stages = {*REASONS, "version", "key"}
    assert expected == {"success"} | {f"{stage} failure" for stage in stages}


def test_kit_writes_the_committed_vectors() -> None:
    """Compared after inflating: deflate's output differs between builds of zlib."""
    built = build()
    assert built.keys() == VECTORS.keys()
    for name, vector in built.items():
        assert vector == VECTORS[name], name
    for name, table in TABLES.items():
        assert (FOLDER / name).read_text() == table(), name


@pytest.mark.parametrize("name", VECTORS)
def test_kit_agrees_with_the_committed_vectors(name: str) -> None:
    vector = VECTORS[name]
    assert outcome(vector) == (vector.one("expect"), vector.one("payload"))


def test_vectors_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2 * 2**20
