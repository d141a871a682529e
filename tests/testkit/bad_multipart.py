"""Multipart objects whose parts, or whose manifest, are altered, cut, or another's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.testkit import kit
from tests.testkit.bad_blobs import HEADERS, VALUES
from tests.testkit.making import AKS, BUCKET, KEY, draw, flip
from tests.testkit.multipart import Assembled, Change, Named, Plan, assemble, show

Table = Callable[[list[kit.Part]], list[kit.Part]]


def moved() -> Named:
    """Parts in wrong places, or another's; the stored size kept."""
    plan = Plan("moved")
    assembled, other = assemble(plan), assemble(Plan("moved-2"))
    one, two, three = assembled.pieces
    foreign = other.pieces[1]
    cases = {
        "swapped": ("header", two + one + three, 0),
        "last-first": ("header", three + one + two, 0),
        "repeated": ("header", one + one + three, 1),
        "foreign": ("header", one + foreign + three, 1),
        "foreign-data": ("segment", one + two[:64] + foreign[64:] + three, 1),
        "foreign-header": ("header", one + foreign[:64] + two[64:] + three, 1),
        "foreign-last": ("header", one + two + other.pieces[2], 2),
        "single-put": ("header", kit.make_header(1, 1000, draw("x")) + one[64:] + two + three, 0),
    }
    for label, (stage, blob, parts) in cases.items():
        vector = show(assembled, stage, "parts in wrong places", blob=blob, parts_released=parts)
        yield f"multipart-parts-{label}", vector
    sealed = assemble(Plan("moved", ((1, 1000), (3, 1000), (7, 7))))
    blob = one + sealed.pieces[1] + three
    comment = "a part of the same data key with another number"
    yield (
        "multipart-parts-other-number",
        show(assembled, "header", comment, blob=blob, parts_released=1),
    )


def cut() -> Named:
    assembled = assemble(Plan("cut", ((1, 1000), (2, 0), (3, 65_537))))
    one, two, three = assembled.pieces
    blobs = {
        "nothing": b"",
        "boundary-1": one,
        "boundary-2": one + two,
        "header-only": one + two + three[:64],
        "segment-boundary": one + two + three[: 64 + 65_552],
        "last-byte": assembled.blob[:-1],
        "middle-removed": one + three,
        "first-removed": two + three,
        "appended-byte": assembled.blob + b"\0",
        "appended-part": assembled.blob + two,
        "appended-trailer": assembled.blob + bytes(kit.TRAILER),
    }
    for label, blob in blobs.items():
        vector = show(assembled, "size", "cut or appended: the size tells", blob=blob)
        yield f"multipart-cut-{label}", vector


def headers() -> Named:
    """The header of the second part altered; what came before may be released."""
    assembled = assemble(Plan("headers"))
    one, two, three = assembled.pieces
    changes = HEADERS | {label: ("header", change) for label, change in VALUES.items()}
    changes["part-3"] = ("header", lambda part: part[:12] + kit.u32(3) + part[16:])
    del changes["part-2"]
    for label, (stage, change) in changes.items():
        blob = one + change(two) + three
        vector = show(assembled, stage, "the header of a part altered", blob=blob, parts_released=1)
        yield f"multipart-header-{label}", vector


def altered() -> Named:
    """A bit of each part."""
    assembled = assemble(Plan("altered", ((1, 5), (2, 0), (3, 65_537))))
    one, two, three = assembled.pieces
    cases = {
        "first": (flip(one, 64) + two + three, 0, 0),
        "first-tag": (flip(one, -1) + two + three, 0, 0),
        "empty": (one + flip(two, -1) + three, 1, 0),
        "last-segment-0": (one + two + flip(three, 64), 2, 0),
        "last-segment-1": (one + two + flip(three, -1), 2, kit.SEGMENT),
    }
    for label, (blob, parts, plain) in cases.items():
        vector = show(
            assembled,
            "segment",
            "one bit altered",
            blob=blob,
            parts_released=parts,
            plain_released=plain,
        )
        yield f"multipart-altered-{label}", vector


def records() -> Named:
    """The manifest's record altered, moved, or another object's."""
    assembled = assemble(Plan("record"))
    name, record = assembled.manifest_name, assembled.manifest
    comment = "the record of the manifest altered"
    bad = {
        "altered-salt": flip(record, 6),
        "altered-flags": flip(record, 22),
        "altered-tag": flip(record, -1),
        "cut": record[:-1],
        "empty": b"",
        "appended": record + b"\0",
        "type": record[:1] + b"\3" + record[2:],
    }
    for label, data in bad.items():
        vector = show(assembled, "record", comment, manifest=(name, data))
        yield f"manifest-{label}", vector
    version = (name, b"\2" + record[1:])
    yield "manifest-version", show(assembled, "version", comment, manifest=version)
    moved_to = (name[:-1] + ("1" if name[-1] == "0" else "0"), record)
    comment = "moved to another name of the same folder"
    yield "manifest-moved", show(assembled, "record", comment, manifest=moved_to)
    as_upload = assemble(replace(assembled.plan, record_type=3))
    yield "manifest-as-upload", show(as_upload, "record", "sealed as an upload record")
    later = assemble(Plan("later", ak=1, data_ak=2))
    comment = "the data AK version is not there"
    yield "manifest-key-missing", show(later, "key", comment, attribute_keys=(1,))
    yield from foreign(assembled)


def foreign(own: Assembled) -> Named:
    other = assemble(Plan("record-2"))
    there = (other.manifest_name, other.manifest)
    comment = "another object's, under its own name"
    yield "manifest-foreign", show(own, "record", comment, manifest=there)
    here = (own.manifest_name, other.manifest)
    comment = "another object's, under this one's name"
    yield "manifest-foreign-moved", show(own, "record", comment, manifest=here)
    lies = {
        "bucket": replace(own.plan, name=("photos2", KEY)),
        "key": replace(own.plan, name=(BUCKET, KEY + "x")),
        "split": replace(own.plan, name=(BUCKET + KEY[:1], KEY[1:])),
        "data-id": replace(own.plan, data_id=draw("another data id")),
        "manifest-id": replace(own.plan, manifest_id=draw("another manifest id")),
    }
    for label, plan in lies.items():
        comment = f"sealed correctly, of another {label}"
        yield f"manifest-other-{label}", show(assemble(plan), "record", comment)
    sealed = kit.open_record(own.manifest, AKS, 4, own.manifest_name)
    data = kit.seal_record(sealed, AKS[2], 1, 4, own.manifest_name, draw("wrong-ak"))
    comment = "sealed under another key than the one named"
    yield "manifest-wrong-ak", show(own, "record", comment, manifest=(own.manifest_name, data))


def part_at(index: int, **fields: int) -> Table:
    return lambda table: [
        replace(one, **fields) if i == index else one  # type: ignore[arg-type]  # ints only
        for i, one in enumerate(table)
    ]


TABLES: dict[str, tuple[str, Table]] = {
    "no-parts": ("record", lambda _: []),
    "number-0": ("record", part_at(0, number=0)),
    "number-10001": ("record", part_at(2, number=10_001)),
    "number-max": ("record", part_at(2, number=2**32 - 1)),
    "number-repeated": ("record", part_at(1, number=1)),
    "number-descending": ("record", part_at(0, number=3)),
    "descending": ("record", lambda table: table[::-1]),
    "size-huge": ("record", part_at(1, plain=2**43 + 1)),
    "size-max": ("record", part_at(1, plain=2**64 - 1)),
    "size-largest": ("size", part_at(1, plain=2**43)),
    "size-more": ("size", part_at(1, plain=1001)),
    "size-less": ("size", part_at(1, plain=999)),
    "part-missing": ("size", lambda table: table[:-1]),
    "part-missing-first": ("size", lambda table: table[1:]),
    "salt-other": ("header", lambda table: [table[0], replace(table[1], salt=bytes(16)), table[2]]),
    "number-other": ("header", part_at(2, number=4)),
    "sizes-shifted": (
        "header",
        lambda table: [replace(table[0], plain=999), replace(table[1], plain=1001), table[2]],
    ),
}


def tables() -> Named:
    for label, (stage, table) in TABLES.items():
        assembled = assemble(Plan(f"table-{label}", table=table))
        parts = {"salt-other": 1, "number-other": 2}.get(label, 0)
        comment = "sealed correctly, the table of parts is wrong"
        yield f"manifest-{label}", show(assembled, stage, comment, parts_released=parts)


def count_at(count: int) -> Change:
    """Another number of parts; the table has three, without checksums."""
    return lambda payload: payload[: -3 * 28 - 4] + kit.u32(count) + payload[-3 * 28 :]


def tag_at(tag: int) -> Change:
    return lambda payload: payload[: -3 * 28 - 5] + bytes([tag]) + payload[-3 * 28 - 4 :]


NAME_AT = 5  # the bucket: after the flags and its length
PAYLOADS: dict[str, Change] = {
    "payload-empty": lambda _: b"",
    "flag-3": lambda payload: bytes([8]) + payload[1:],
    "flag-7": lambda payload: bytes([128]) + payload[1:],
    "bucket-length-max": lambda payload: payload[:1] + b"\xff" * 4 + payload[5:],
    "bucket-not-utf8": lambda payload: payload[:NAME_AT] + b"\xff" + payload[NAME_AT + 1 :],
    "payload-appended": lambda payload: payload + b"\0",
    "payload-part-appended": lambda payload: payload + payload[-28:],
    "count-0": count_at(0),
    "count-2": count_at(2),
    "count-4": count_at(4),
    "count-max": count_at(2**32 - 1),
    "part-checksum-crc32": tag_at(0x10),
    "part-checksum-etag": tag_at(2),
    "part-checksum-1b": tag_at(0x1B),
    "part-checksum-ff": tag_at(0xFF),
}
ATTRIBUTES: dict[str, Change] = {
    "attributes-empty": lambda _: b"",
    "attributes-padded": lambda data: data + b"\0",
    "attributes-size": lambda data: kit.encode_attributes([(1, kit.u64(2007))]) + data,
    "attributes-commitment": lambda data: data + kit.encode_attributes([(3, bytes(16))]),
    "attributes-manifest": lambda data: data + kit.encode_attributes([(7, bytes(16))]),
    "attributes-no-etag": lambda _: kit.encode_attributes([(0x10, bytes(4))]),
    "attributes-etag-17": lambda _: kit.encode_attributes([(2, bytes(17))]),
    "attributes-unknown": lambda data: data + b"\x1b\x01x",
    "attributes-descending": lambda data: kit.encode_attributes([(0x10, bytes(4))]) + data,
    "attributes-duplicate": lambda data: data + data,
    "attributes-long-form": lambda data: data[:1] + b"\xff\x00" + data[1:],
    "attributes-cut": lambda data: data[:-1],
}


def payloads() -> Named:
    comment = "sealed correctly, not allowed"
    for label, change in PAYLOADS.items():
        yield f"manifest-{label}", show(assemble(Plan(label, payload=change)), "record", comment)
    for label, change in ATTRIBUTES.items():
        assembled = assemble(Plan(label, attributes=change))
        yield f"manifest-{label}", show(assembled, "record", comment)
    end = 1 + 4 + len(BUCKET) + 4 + len(KEY) + 16 + 4 + 22 + 1 + 4
    for length in (1, 4, 8, 20, 29, 45, 49, end - 1, end, end + 4, end + 27, end + 28, end + 56):
        assembled = assemble(Plan("cut-short", payload=lambda data, n=length: data[:n]))  # type: ignore[misc]  # n has a default
        comment = f"sealed correctly, the first {length} bytes"
        yield f"manifest-payload-cut-{length}", show(assembled, "record", comment)


def bad_multipart() -> Named:
    for group in (moved, cut, headers, altered, records, tables, payloads):
        yield from group()
