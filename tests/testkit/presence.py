"""Envelopes that break one rule of section 4.2 about what is present, and are otherwise right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.testkit import kit
from tests.testkit.bad_envelopes import plus, without
from tests.testkit.making import Items, Recipe, make
from tests.testkit.making import object_vector as show
from tests.testkit.vector import Vector

LARGE = kit.SMALL + 1
ETAG, CHECKSUM = (2, bytes(16)), (0x10, bytes(4))
SIZE, MANIFEST = (1, kit.u64(1000)), (7, b"m" * 16)


def no_salt(env: kit.Envelope) -> kit.Envelope:
    return replace(env, part_salt=bytes(16))


def salted(env: kit.Envelope) -> kit.Envelope:
    return replace(env, part_salt=b"s" * 16)


def unsized(items: Items) -> Items:
    return without(1)(items)


def recipes() -> Iterator[tuple[str, Recipe]]:
    """By a comment that says what is wrong."""
    own = Recipe("presence")
    multipart = replace(own, multipart=True)
    large = replace(own, size=LARGE)
    yield "a single PUT without part salt", replace(own, envelope=no_salt)
    yield "a manifest id and a part salt", replace(multipart, envelope=salted)
    yield "a manifest id and a plain size", replace(multipart, attributes=plus(*SIZE))
    yield "a plain size and a manifest id", replace(own, attributes=plus(*MANIFEST))
    yield "neither plain size nor manifest id", replace(own, attributes=unsized)
    yield "neither, nor a part salt", replace(own, attributes=unsized, envelope=no_salt)
    yield "a small object without ETag", replace(own, attributes=without(2))
    yield (
        "the largest small object without ETag",
        replace(own, size=kit.SMALL, attributes=without(2)),
    )
    yield "a checksum of a large object in its envelope", replace(large, attributes=plus(*CHECKSUM))
    yield (
        "the ETag of a large object in its envelope only",
        replace(
            large, attributes=plus(*ETAG), trailer=lambda items: [p for p in items if p[0] != 2]
        ),
    )
    for mode in (1, 2, 3, 4):
        yield (
            f"mode {mode}, the ETag of a large object in its envelope too",
            replace(large, mode=mode, attributes=plus(*ETAG)),
        )
    for mode in (2, 3):
        yield f"mode {mode} with a verifier", replace(own, mode=mode, attributes=plus(4, bytes(32)))
    yield (
        "a multipart object, mode 4, without verifier",
        replace(multipart, mode=4, attributes=without(4)),
    )
    yield "the ETag of a multipart object in its envelope", replace(multipart, extra=(ETAG,))
    counted = replace(multipart, extra=((2, bytes(16) + kit.u32(3)),))
    yield "the ETag of a multipart object with its count in its envelope", counted
    yield (
        "a checksum of a multipart object in its envelope",
        replace(multipart, checksums=(CHECKSUM,)),
    )
    yield "a multipart object without commitment", replace(multipart, attributes=without(3))


def presence() -> Iterator[tuple[str, Vector]]:
    for comment, recipe in recipes():
        name = "presence-" + "-".join(comment.lower().replace(",", "").split())
        made = make(replace(recipe, label=name))
        yield name, show(made, "envelope", f"sealed correctly, not allowed: {comment}")
