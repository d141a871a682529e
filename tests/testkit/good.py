"""Vectors that a reader opens."""

from __future__ import annotations

from collections.abc import Iterator

from tests.testkit import kit
from tests.testkit.making import Recipe, draw, make, object_vector, part, part_vector
from tests.testkit.vector import Vector

Named = Iterator[tuple[str, Vector]]
SIZES = (0, 1, 65_535, 65_536, 65_537, 131_072, 524_288, 524_289)
MODES = {1: "sse-s3", 2: "sse-kms", 3: "sse-kms-bucket-key", 4: "sse-c"}

NAMES = {
    "slashes": ("photos", "//a//b/../c/./"),
    "spaces": ("photos", " a  b + c%2F?x=1&y#z "),
    "emoji": ("photos", "holiday \U0001f3d6\ufe0f/\U0001f468\u200d\U0001f469\u200d\U0001f467.jpg"),
    "control": ("photos", 'tab\tline\nquote"back\\slash\x01\x7f'),
    "nfd": ("photos", "re\u0301sume\u0301"),
    "longest": ("photos", "k" * 1024),
    "longest-utf8": ("photos", "\u00e9" * 512),
    "identity": ("photos at the first site \u00e9", "cat.jpg"),
    "one-byte": ("b", "k"),
}
CHECKSUM_BYTES = {tag: kit.LENGTHS[tag][0] for tag in range(0x10, 0x1B)}


def checksums(label: str) -> tuple[tuple[int, bytes], ...]:
    return tuple((tag, draw(label, tag, count=size)) for tag, size in CHECKSUM_BYTES.items())


def sizes() -> Named:
    for mode, mode_name in MODES.items():
        for size in SIZES:
            made = make(Recipe(f"size-{mode}-{size}", mode=mode, size=size))
            comment = f"{mode_name}, {size} plain bytes"
            yield f"size-{mode_name}-{size}", object_vector(made, "success", comment)


def names() -> Named:
    for label, (bucket, key) in NAMES.items():
        made = make(Recipe(f"name-{label}", bucket=bucket, key=key, size=10))
        yield f"name-{label}", object_vector(made, "success", f"a key that is {label}")


def versions() -> Named:
    made = make(Recipe("ak-2", ak=2, data_ak=2))
    yield "versions-ak-2", object_vector(made, "success", "a second attribute key version")
    made = make(Recipe("ak-2-c", mode=4, ak=2, data_ak=1))
    yield "versions-ak-2-sse-c", object_vector(made, "success", "the pepper is of the named AK")
    made = make(Recipe("data-ak", ak=2, data_ak=1, size=524_289))
    comment = "copied after a rotation: the trailer is still under the data AK version"
    yield "versions-data-ak", object_vector(made, "success", comment)
    made = make(Recipe("master-1", master=1))
    yield "versions-master-1", object_vector(made, "success", "an older master key version")


def attributes() -> Named:
    made = make(Recipe("checksums", checksums=checksums("checksums")))
    yield "attributes-checksums", object_vector(made, "success", "every checksum")
    made = make(Recipe("late", size=524_289, checksums=checksums("late")))
    yield "attributes-checksums-trailer", object_vector(made, "success", "... in the trailer")
    for length in (1, 254, 255, 256, 1024):
        extra = ((5, b"k" * length),)
        made = make(Recipe(f"kms-id-{length}", mode=2, extra=extra))
        comment = f"a KMS key id of {length} bytes; from 255 the long form of the length"
        yield f"attributes-kms-id-{length}", object_vector(made, "success", comment)
    context = b'{"tenant":"' + b"t" * 243 + b'"}'
    made = make(Recipe("context", mode=3, extra=((6, context),)))
    yield "attributes-context", object_vector(made, "success", "an encryption context, 256 bytes")
    both = ((5, "cl\u00e9".encode() * 256), (6, context))
    made = make(Recipe("largest", mode=2, extra=both, checksums=checksums("l")))
    yield "attributes-largest", object_vector(made, "success", "everything a single PUT can have")
    for length in (1, 6000, 65_535):
        made = make(Recipe(f"blob-{length}", mode=2, kms_blob_bytes=length, size=3))
        comment = f"a KMS blob of {length} bytes"
        yield f"attributes-kms-blob-{length}", object_vector(made, "success", comment)


def multipart() -> Named:
    for mode, mode_name in MODES.items():
        made = make(Recipe(f"multipart-{mode}", mode=mode, multipart=True))
        comment = f"{mode_name}, the envelope of a multipart object: no plain size, no part salt"
        yield f"multipart-{mode_name}", object_vector(made, "success", comment)
    etag = draw("multipart-etag", "etag") + kit.u32(10_000)
    made = make(Recipe("etag-count", etag=etag))
    comment = "a single PUT that keeps the ETag of a multipart object"
    yield "attributes-etag-count", object_vector(made, "success", comment)


def parts() -> Named:
    for number, size in ((2, 0), (1, 1), (10_000, 65_537), (3, 524_289), (7, 8_388_608)):
        recipe = Recipe(f"part-{number}", size=min(size, kit.SMALL))
        made = make(recipe)
        header = kit.make_header(number, size, made.env.part_salt)
        blob, plain = whole_part(f"part-{number}", made.dek, made.env.data_id, header, size)
        comment = f"part {number}, {size} plain bytes; a part never has a trailer"
        yield f"part-{number}", part_vector(blob, made, "success", comment, plain)


def whole_part(
    label: str, dek: bytes, data_id: bytes, header: bytes, size: int
) -> tuple[bytes, bytes]:
    sealed, plain = part(Recipe(label, size=size), dek, data_id, header)
    return header + b"".join(sealed), plain


def all_good() -> Named:
    for group in (sizes, names, versions, attributes, multipart, parts):
        yield from group()
