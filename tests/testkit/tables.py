"""Tables of what is arithmetic or derivation: sizes, ranges, derivations."""

from __future__ import annotations

from tests.testkit import kit
from tests.testkit.making import draw

SIZES = sorted(
    {0, 1, 2, 15, 16, 17, 1000}
    | {n * kit.SEGMENT + d for n in (1, 2, 3, 7, 8, 9, 160) for d in (-17, -16, -1, 0, 1, 15, 16)}
    | {5 * 2**30, 5 * 2**40, 2**43 - 1, 2**43}
)


def sizes() -> str:
    """`size plain part object`, and `no-part n`, `no-object n`: n is outside the image."""
    lines = [f"size {n} {kit.part_size(n)} {kit.object_size(n)}" for n in SIZES]
    whole = (0, kit.SEGMENT, 2 * kit.SEGMENT, 8 * kit.SEGMENT)
    gaps = {0, 1, 63, 64, 79} | {kit.part_size(n) + d for n in whole[1:] for d in range(1, 17)}
    parts = sorted(gaps | {kit.part_size(2**43) + 1})
    lines += [f"no-part {n}" for n in parts]
    small, large = kit.object_size(kit.SMALL), kit.object_size(kit.SMALL + 1)
    without_trailer = {kit.part_size(n) for n in range(kit.SMALL + 1, kit.SMALL + 200, 50)}
    objects = {n for n in gaps if n < small} | set(range(small + 1, large, 40)) | without_trailer
    objects |= {large - 1, kit.object_size(2**43) + 1, kit.object_size(9 * kit.SEGMENT) + 16}
    return "".join(f"{line}\n" for line in [*lines, *(f"no-object {n}" for n in sorted(objects))])


RANGED = (1, 65_535, 65_536, 65_537, 131_072, 524_288, 524_289, 10_000_000)


def ranges() -> str:
    """`plain start stop: first segments sealed_start sealed_stop skip length`, stops exclusive.

    The sealed range is the whole segments that hold the plain range, in the stored object;
    skip and length say what to give of their plaintext.
    """
    lines = []
    for plain in RANGED:
        edges = {0, 1, plain - 1, plain, plain // 2}
        edges |= {n * kit.SEGMENT + d for n in (1, 2, 8) for d in (-1, 0, 1)}
        marks = sorted(edge for edge in edges if 0 <= edge <= plain)
        for start in marks:
            for stop in (mark for mark in marks if mark > start):
                first, last = start // kit.SEGMENT, (stop - 1) // kit.SEGMENT
                count = last - first + 1
                sealed_start = 64 + first * 65_552
                sealed_stop = min(64 + (last + 1) * 65_552, kit.part_size(plain))
                skip = start - first * kit.SEGMENT
                left = f"{plain} {start} {stop}"
                right = f"{first} {count} {sealed_start} {sealed_stop} {skip} {stop - start}"
                lines.append(f"{left}: {right}\n")
    return "".join(lines)


def derivations() -> str:
    """`name input ...: output`, in hexadecimal."""
    lines = []
    for i in range(3):
        key, salt = draw("derive", i, "key", count=32), draw("derive", i, "salt")
        ak, data_id = draw("derive", i, "ak", count=32), draw("derive", i, "id")
        header = kit.make_header(i + 1, 1000 * i, salt, trailer=i == 2)
        rows = {
            f"commitment {key.hex()}": kit.commitment(key),
            f"random-etag {key.hex()} {data_id.hex()}": kit.random_etag(key, data_id),
            f"customer-upper-key {key.hex()} {ak.hex()}": kit.customer_upper_key(key, ak),
            f"verifier {key.hex()} {ak.hex()} {salt.hex()}": kit.verifier(key, ak, salt),
            f"root-id {key.hex()}": kit.root_id(key),
            f"part-key {key.hex()} {data_id.hex()} {header.hex()}": kit.part_key(
                key, data_id, header
            ),
        }
        rows |= multipart_rows(i, key, (ak, data_id, salt))
        lines += [f"{left}: {right.hex()}\n" for left, right in rows.items()]
    return "".join(lines)


def multipart_rows(i: int, key: bytes, drawn: tuple[bytes, bytes, bytes]) -> dict[str, bytes]:
    """Of multipart uploads; text is in hexadecimal too."""
    ak, data_id, salt = drawn
    names = (f"photos-{i}", f"2024/\u00e9 {i}.jpg", f"upload id {i}")
    folder = kit.upload_folder(key, *names)
    md5s = [draw("derive", i, n).hex() for n in range(i + 1)]
    odd = [*md5s, md5s[0].upper() if i == 1 else f"{md5s[0]}-{i}"]

    def text(*items: str) -> str:
        return " ".join(item.encode().hex() for item in items)

    return {
        f"part-etag {key.hex()} {data_id.hex()} {salt.hex()}": kit.part_etag(key, data_id, salt),
        f"composite-etag {' '.join(md5s)}": kit.composite_etag([bytes.fromhex(e) for e in md5s]),
        f"upload-folder {key.hex()} {text(*names)}": folder.encode(),
        f"composite {text(*md5s)}": kit.composite(md5s).encode(),
        f"composite {text(*odd)}": kit.composite(odd).encode(),
        f"manifest-name {key.hex()} {data_id.hex()} {text(md5s[0])}": kit.manifest_name(
            key, data_id, md5s[0]
        ).encode(),
        f"store-tag {text(odd[-1])}": kit.store_tag(odd[-1]),
        f"part-record-key {ak.hex()} {salt.hex()} {text(folder)}": kit.part_record_key(
            ak, salt, folder
        ),
    }


TABLES = {"sizes.txt": sizes, "ranges.txt": ranges, "derivations.txt": derivations}
