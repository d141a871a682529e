"""Objects and parts whose stored bytes are malformed, altered, cut, or another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.testkit import kit
from tests.testkit.making import Items, Made, Recipe, Shown, flip, make, part_vector
from tests.testkit.making import object_vector as show
from tests.testkit.vector import Vector

Named = Iterator[tuple[str, Vector]]
THREE = 2 * kit.SEGMENT + 100
SEALED = kit.SEGMENT + 16
Change = Callable[[bytes], bytes]


def put(offset: int, data: bytes) -> Change:
    return lambda blob: blob[:offset] + data + blob[offset + len(data) :]


HEADERS: dict[str, tuple[str, Change]] = {
    "magic": ("header", put(0, b"\x92")),
    "magic-newline": ("header", put(7, b"\r")),
    "version-0": ("version", put(8, b"\0")),
    "version-2": ("version", put(8, b"\2")),
    "segment-size-12": ("header", put(9, b"\x0c")),
    "segment-size-63": ("header", put(9, b"\x3f")),
    "flag-1": ("header", put(11, b"\2")),
    "flag-15": ("header", put(10, b"\x80")),
    "part-0": ("header", put(12, kit.u32(0))),
    "part-10001": ("header", put(12, kit.u32(10_001))),
    "part-max": ("header", put(12, kit.u32(2**32 - 1))),
    "length-huge": ("header", put(16, kit.u64(2**43 + 1))),
    "length-max": ("header", put(16, b"\xff" * 8)),
    "reserved-first": ("header", put(24, b"\1")),
    "reserved-last": ("header", put(47, b"\1")),
}
# Fields that only the envelope, or the derivation of the key, can tell to be wrong.
VALUES: dict[str, Change] = {
    "flag-trailer": put(11, b"\1"),
    "part-2": put(12, kit.u32(2)),
    "length-less": put(16, kit.u64(999)),
    "length-more": put(16, kit.u64(1001)),
    "length-0": put(16, kit.u64(0)),
    "salt-first": lambda blob: flip(blob, 48),
    "salt-last": lambda blob: flip(blob, 63),
}


def headers() -> Named:
    made = make(Recipe("header"))
    for label, (stage, change) in HEADERS.items():
        shown = Shown(blob=change(made.blob))
        yield f"header-{label}", show(made, stage, "the stored header altered", shown)
        sealed = make(Recipe(f"header-{label}", header=change))
        comment = "sealed under a header that is not allowed"
        yield f"part-header-{label}", part_vector(sealed.blob, sealed, stage, comment, b"")
    for label, change in VALUES.items():
        shown = Shown(blob=change(made.blob))
        yield f"header-{label}", show(made, "header", "the stored header altered", shown)
        if label != "flag-trailer":
            blob, comment = change(made.blob), "the header altered; read without an envelope"
            yield f"part-{label}", part_vector(blob, made, "segment", comment, b"")


def three() -> tuple[Made, bytes, list[bytes]]:
    made = make(Recipe("three", size=THREE))
    body = made.blob[64:]
    return made, made.blob[:64], [body[:SEALED], body[SEALED : 2 * SEALED], body[2 * SEALED :]]


def altered() -> Named:
    """A bit of each segment: what came before it may be released, and nothing after."""
    made, _, _ = three()
    places = {
        "0-first": 64,
        "0-last": 64 + kit.SEGMENT - 1,
        "0-tag": 64 + SEALED - 1,
        "1-first": 64 + SEALED,
        "1-tag": 64 + 2 * SEALED - 16,
        "2-first": 64 + 2 * SEALED,
        "2-tag": -1,
    }
    for label, offset in places.items():
        shown = Shown(blob=flip(made.blob, offset, 0x80), released=int(label[0]) * kit.SEGMENT)
        yield f"segment-altered-{label}", show(made, "segment", "one bit altered", shown)
    for size in (0, 1):
        made = make(Recipe(f"tiny-{size}", size=size))
        for offset in range(64, len(made.blob), 5):
            shown = Shown(blob=flip(made.blob, offset))
            comment = f"one bit of the only segment, {size} plain bytes"
            yield f"segment-altered-size-{size}-{offset}", show(made, "segment", comment, shown)


def arrangements() -> dict[str, tuple[list[bytes], int]]:
    """Segments in wrong places, the size kept: the pieces, and how many may be released."""
    _, _, (zero, one, two) = three()
    other = make(Recipe("other", size=THREE)).blob[64:]
    return {
        "reordered": ([one, zero, two], 0),
        "repeated": ([zero, zero, two], 1),
        "second-twice": ([one, one, two], 0),
        "foreign-0": ([other[:SEALED], one, two], 0),
        "foreign-1": ([zero, other[SEALED : 2 * SEALED], two], 1),
        "foreign-last": ([zero, one, other[2 * SEALED :]], 2),
    }


def cuts() -> dict[str, tuple[Change, int]]:
    """Bytes taken away or added: the change, and how many segments a stream may release."""
    _, _, (zero, one, two) = three()
    start, end = 64 + 2 * SEALED, 64 + 2 * SEALED + len(two)
    return {
        "nothing": (lambda _: b"", 0),
        "header-63": (lambda blob: blob[:63], 0),
        "header-only": (lambda blob: blob[:64], 0),
        "segment-mid": (lambda blob: blob[: 64 + 1000], 0),
        "segment-tag": (lambda blob: blob[: 64 + SEALED - 1], 0),
        "boundary-1": (lambda blob: blob[: 64 + SEALED], 1),
        "boundary-2": (lambda blob: blob[:start], 2),
        "last-mid": (lambda blob: blob[: start + 50], 2),
        "last-byte": (lambda blob: blob[: end - 1], 2),
        "middle-removed": (lambda blob: blob[: 64 + SEALED] + two, 1),
        "first-removed": (lambda blob: blob[:64] + one + two, 0),
        "inserted": (lambda blob: blob[: 64 + SEALED] + zero + one + two, 1),
        "appended-byte": (lambda blob: blob + b"\0", 3),
        "appended-segment": (lambda blob: blob + two, 3),
        "appended-object": (lambda blob: blob + blob, 3),
    }


def moved_bytes() -> Named:
    made, header, _ = three()
    for label, (pieces, whole) in arrangements().items():
        blob = header + b"".join(pieces)
        shown = Shown(blob=blob, released=whole * kit.SEGMENT)
        yield f"segment-{label}", show(made, "segment", "segments in wrong places", shown)
    for label, (change, whole) in cuts().items():
        shown = Shown(blob=change(made.blob))
        yield f"size-{label}", show(made, "size", "cut or appended: the size tells", shown)
        stage = "header" if len(change(made.blob)) < 64 else "segment"
        released = made.plain[: whole * kit.SEGMENT]
        comment = "cut or appended: read as a stream, without an envelope"
        yield (
            f"part-cut-{label}",
            part_vector(change(made.blob), made, stage, comment, released),
        )


def nonces() -> Named:
    """Segments sealed under the right key, with a counter or final byte that is wrong."""
    wrong = {
        "final-never": ([(0, False), (1, False), (2, False)], 2),
        "final-early": ([(0, False), (1, True), (2, True)], 1),
        "final-always": ([(0, True), (1, True), (2, True)], 0),
        "counter-from-1": ([(1, False), (2, False), (3, True)], 0),
        "counter-skips": ([(0, False), (2, False), (3, True)], 1),
        "counter-stands": ([(0, False), (0, False), (0, True)], 1),
    }
    for label, (pairs, whole) in wrong.items():
        made = make(Recipe(f"nonce-{label}", size=THREE, nonces=pairs))
        shown = Shown(released=whole * kit.SEGMENT)
        yield f"segment-{label}", show(made, "segment", "sealed with wrong nonces", shown)
    made = make(Recipe("nonce-single", size=5, nonces=[(0, False)]))
    yield "segment-final-missing", show(made, "segment", "the only segment is not final")
    made = make(Recipe("empty-final", size=kit.SEGMENT, nonces=[(0, False)]))
    key = kit.part_key(made.dek, made.env.data_id, made.blob[:64])
    blob = made.blob + kit.seal(key, kit.nonce(1, True), b"")
    comment = "a full segment that is not final, then an empty one that is"
    yield "size-empty-final", show(made, "size", comment, Shown(blob=blob))
    yield "part-empty-final", part_vector(blob, made, "segment", comment, b"")
    made = make(Recipe("none", size=0))
    yield "size-no-segment", show(made, "size", "an empty object", Shown(blob=made.blob[:64]))


HUGE = (2**43, 2**43 + 1, 2**64 - 1)
CLAIMS = ((1000, 999), (1000, 1001), (0, 1), (1, 0), *((1000, claimed) for claimed in HUGE))


def sizes() -> Named:
    """The sealed plain size is not that of what is stored."""
    for size, claimed in CLAIMS:

        def claim(items: Items, claimed: int = claimed) -> Items:
            kept = [pair for pair in items if pair[0] != 2 or claimed <= kit.SMALL]
            return [(tag, kit.u64(claimed) if tag == 1 else value) for tag, value in kept]

        made = make(Recipe(f"claim-{size}-{claimed}", size=size, attributes=claim))
        comment = f"{size} plain bytes are stored, the attributes say {claimed}"
        stage = "envelope" if claimed > 2**43 else "size"
        yield f"size-claimed-{size}-{claimed}", show(made, stage, comment)


LARGE = 524_289


def trailers() -> Named:
    made, other = make(Recipe("trailer", size=LARGE)), make(Recipe("trailer-2", size=LARGE))
    body, trailer = made.blob[: -kit.TRAILER], made.blob[-kit.TRAILER :]
    blobs = {
        "altered-first": ("trailer", body + flip(trailer, 0)),
        "altered-etag": ("trailer", body + flip(trailer, 2)),
        "altered-padding": ("trailer", body + flip(trailer, 200)),
        "altered-tag": ("trailer", body + flip(trailer, -1)),
        "foreign": ("trailer", body + other.blob[-kit.TRAILER :]),
        "zeros": ("trailer", body + bytes(kit.TRAILER)),
        "removed": ("size", body),
        "cut": ("size", body + trailer[:-1]),
        "twice": ("size", body + trailer + trailer),
        "appended": ("size", body + trailer + b"\0"),
        "segment-altered": ("segment", flip(body, -1) + trailer),
    }
    for label, (stage, blob) in blobs.items():
        released = {"trailer": LARGE, "segment": kit.SMALL, "size": 0}[stage]
        shown = Shown(blob=blob, released=released)
        yield f"trailer-{label}", show(made, stage, "the trailer of a large object", shown)
    made = make(Recipe("trailer-ak", size=LARGE, trailer_ak=2))
    shown = Shown(released=LARGE)
    comment = "sealed under another AK than the data AK version"
    yield "trailer-wrong-ak", show(made, "trailer", comment, shown)
    made = make(Recipe("trailer-key", size=LARGE, ak=2, data_ak=1))
    shown = Shown(attribute_keys=(2,), released=LARGE)
    yield "trailer-key-missing", show(made, "key", "the data AK version is not there", shown)
    made = make(Recipe("trailer-none", size=LARGE, header=put(11, b"\0")))
    shown = Shown(blob=made.blob[: -kit.TRAILER])
    yield "trailer-never", show(made, "size", "a large object without trailer", shown)
    yield "trailer-no-flag", show(made, "header", "its flag is not set")
    made = make(Recipe("trailer-small", header=put(11, b"\1")))
    shown = Shown(blob=made.blob + trailer)
    yield "trailer-small", show(made, "size", "a small object with a trailer", shown)
    yield from sealed_trailers()


def sealed_trailers() -> Named:
    """Trailers that are sealed correctly, and are not what 3.3 and 4.2 allow."""
    items: dict[str, Callable[[Items], Items]] = {
        "unknown-tag": lambda items: [*items, (0x1B, b"x")],
        "size": lambda items: [(1, kit.u64(LARGE)), *items],
        "commitment": lambda items: [*items, (3, bytes(16))],
        "verifier": lambda items: [*items, (4, bytes(32))],
        "kms-id": lambda items: [*items, (5, b"k")],
        "context": lambda items: [*items, (6, b"{}")],
        "manifest": lambda items: [*items, (7, bytes(16))],
        "no-etag": lambda _: [(0x10, bytes(4))],
        "empty": lambda _: [],
        "descending": lambda items: [(0x10, bytes(4)), *items],
        "duplicate": lambda items: [*items, *items],
        "length": lambda items: [*items, (0x10, bytes(5))],
    }
    padded: dict[str, Change] = {
        "padding-first": lambda data: put(18, b"\0\1")(data),
        "padding-last": lambda data: flip(data, -1),
        "padding-item": lambda data: put(100, b"\x10\x04abcd")(data),
    }
    shown = Shown(released=LARGE)
    comment = "sealed correctly, not allowed"
    for label, change in items.items():
        made = make(Recipe(f"trailer-{label}", size=LARGE, trailer=change))
        yield f"trailer-{label}", show(made, "trailer", comment, shown)
    for label, pad in padded.items():
        made = make(Recipe(f"trailer-{label}", size=LARGE, padded=pad))
        yield f"trailer-{label}", show(made, "trailer", comment, shown)


def bad_blobs() -> Named:
    for group in (headers, altered, moved_bytes, nonces, sizes, trailers):
        yield from group()
