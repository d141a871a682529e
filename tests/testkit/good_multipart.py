"""Multipart objects that a reader opens."""

from __future__ import annotations

from tests.testkit import kit
from tests.testkit.good import MODES, checksums
from tests.testkit.making import draw
from tests.testkit.multipart import Named, Plan, assemble, show

# What parts an object can have: labels, and (number, plain size) of each.
SHAPES: dict[str, tuple[tuple[int, int], ...]] = {
    "one": ((1, 5),),
    "one-empty": ((1, 0),),
    "gaps": ((2, 10), (7, 20), (10_000, 30)),
    "empty-last": ((1, 1000), (2, 0)),
    "empty-first": ((1, 0), (2, 1000)),
    "empty-between": ((1, 9), (2, 0), (3, 0), (4, 9)),
    "segments": ((1, 65_536), (2, 131_072), (3, 65_537), (4, 65_535)),
    "large-parts": ((1, 524_289), (2, 600_000), (3, 1)),
}


def good_multipart() -> Named:
    for label, parts in SHAPES.items():
        assembled = assemble(Plan(f"object-{label}", parts))
        yield f"multipart-object-{label}", show(assembled, "success", f"parts: {label}")
    for mode, name in MODES.items():
        assembled = assemble(Plan(f"object-{name}", mode=mode))
        yield f"multipart-object-{name}", show(assembled, "success", f"{name}, three parts")
    many = tuple((number, number % 3) for number in range(1, 301))
    yield "multipart-object-300", show(assemble(Plan("many", many)), "success", "300 parts")
    plan = Plan("versions", ak=2, data_ak=1)
    comment = "copied after a rotation: the manifest is under the data AK version"
    yield "multipart-object-data-ak", show(assemble(plan), "success", comment)
    plan = Plan("unicode", key="\u00e9/\U0001f511")
    yield "multipart-object-key", show(assemble(plan), "success", "a key that is not ASCII")
    yield from manifests()


def manifests() -> Named:
    """Every flag and kind of checksum."""
    for flags in range(8):
        assembled = assemble(Plan(f"flags-{flags}", flags=flags))
        yield f"manifest-flags-{flags}", show(assembled, "success", f"flags {flags}")
    for tag in range(0x10, 0x1B):
        assembled = assemble(Plan(f"sums-{tag}", part_tag=tag, flags=1))
        comment = f"checksums of the parts, tag {tag:02x}"
        yield f"manifest-part-checksum-{tag:02x}", show(assembled, "success", comment)
    assembled = assemble(Plan("all-sums", checksums=checksums("all-sums"), part_tag=0x15))
    yield "manifest-checksums", show(assembled, "success", "every checksum of the object")
    assembled = assemble(Plan("etag-16", etag=draw("etag-16"), flags=2))
    yield "manifest-etag-16", show(assembled, "success", "one piece: an ETag without part count")
    etag = draw("etag-20") + kit.u32(9)
    assembled = assemble(Plan("etag-20", etag=etag, flags=2))
    comment = "one piece that keeps the ETag of a multipart object with other parts"
    yield "manifest-etag-20", show(assembled, "success", comment)
