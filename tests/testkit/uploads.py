"""Upload records and part records (section 5.3), whole, altered and not allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.testkit import kit
from tests.testkit.making import AKS, BUCKET, KEY, Recipe, draw, flip, make
from tests.testkit.multipart import NAME_KEY
from tests.testkit.vector import Vector, vector

Named = Iterator[tuple[str, Vector]]
UPLOAD_ID = "2~VmSIZrXFdd4c_.+/="
FOLDER = kit.upload_folder(NAME_KEY, BUCKET, KEY, UPLOAD_ID)
SALT = draw("part-key-salt")
ENVELOPE = make(Recipe("upload", multipart=True)).env.text()


def payload(
    *,
    key: str = KEY,
    upload_id: str = UPLOAD_ID,
    envelope: str = ENVELOPE,
    salt: bytes = SALT,
    checksum: tuple[str, str] | None = ("crc32", "COMPOSITE"),
    created: int = 1_767_225_600,
) -> bytes:
    return kit.upload_payload(BUCKET, key, upload_id, envelope, salt, checksum, created)


def upload(
    label: str, data: bytes, expect: str, comment: str, *, altered: bytes | None = None
) -> Vector:
    """A vector of kind "upload": the record is opened, and its payload read."""
    name = FOLDER + "upload"
    record = kit.seal_record(data, AKS[1], 1, 3, name, draw("upload", label))
    fields = [
        ("expect", expect if expect == "success" else f"{expect} failure"),
        ("payload", kit.sha256(data if expect == "success" else b"")),
        ("comment", comment),
        ("kind", "upload"),
        ("record-type", "3"),
        ("name", kit.quoted(name)),
        ("record-key", f"1 {AKS[1].hex()}"),
    ]
    return vector(fields, record if altered is None else altered)


GOOD = {
    "encrypted": payload(),
    "plain": payload(envelope="", checksum=None),
    "full-object": payload(checksum=("crc64nvme", "FULL_OBJECT")),
    "sha512": payload(checksum=("sha512", "COMPOSITE")),
    "xxhash128": payload(checksum=("xxhash128", "FULL_OBJECT")),
    "unicode": payload(key="\u00e9\U0001f511\u2028", upload_id="\u20ac"),
    "escapes": payload(key='"\\/\b\f\n\r\t\x00\x1f\x7f'),
    "created-0": payload(created=0),
    "created-max": payload(created=2**53 - 1),
    "longest": payload(key="\x01" * 1024, envelope="A" * 9_000),
}
BAD = {
    "empty": b"",
    "not-json": b"upload",
    "not-utf8": payload().replace(b"cat", b"c\xff"),
    "utf16": payload().decode().encode("utf-16-le"),
    "bom": b"\xef\xbb\xbf" + payload(),
    "list": b"[" + payload() + b"]",
    "null": b"null",
    "nested": b"[" * 5_000,
    "space": payload().replace(b":", b": ", 1),
    "newline": payload() + b"\n",
    "appended": payload() + payload(),
    "cut": payload()[:-1],
    "unsorted": b'{"upload_id":"x",' + payload()[1:].replace(b',"upload_id":"', b',"upload_ie":"'),
    "field-more": payload()[:-1] + b',"version":1}',
    "field-twice": payload()[:-1] + b',"upload_id":"x"}',
    "escaped-ascii": payload().replace(b"cat", b"c\\u0061t"),
    "escaped-slash": payload().replace(b"/cat", b"\\/cat"),
    "escaped-upper": payload(key="\x1f").replace(b"\\u001f", b"\\u001F"),
    "escaped-unicode": payload(key="\u00e9").replace("\u00e9".encode(), b"\\u00e9"),
    "surrogate": payload().replace(b"cat", b"\\ud800"),
    "salt-short": payload(salt=SALT[:-1]),
    "salt-long": payload(salt=SALT + b"\0"),
    "salt-upper": payload().replace(SALT.hex().encode(), SALT.hex().upper().encode()),
    "salt-spaces": payload().replace(SALT.hex().encode(), SALT.hex(" ").encode()),
    "salt-not-hex": payload().replace(SALT.hex().encode(), b"x" * 32),
    "checksum-unknown": payload(checksum=("crc16", "COMPOSITE")),
    "checksum-name": payload(checksum=("CRC32", "COMPOSITE")),
    "checksum-type": payload(checksum=("crc32", "PARTS")),
    "checksum-text": payload().replace(b'{"algorithm":"crc32","type":"COMPOSITE"}', b'"crc32"'),
    "checksum-false": payload(checksum=None).replace(b"null", b"false"),
    "checksum-empty": payload(checksum=None).replace(b"null", b"{}"),
    "checksum-type-list": payload().replace(b'"COMPOSITE"', b"[]"),
    "created-negative": payload(created=-1),
    "created-above": payload(created=2**53),
    "created-float": payload(created=5).replace(b":5,", b":5.0,"),
    "created-text": payload(created=5).replace(b":5,", b':"5",'),
    "created-true": payload(created=1).replace(b":1,", b":true,"),
    "created-digits": payload(created=5).replace(b":5,", b":" + b"5" * 5000 + b","),
    "key-number": payload().replace(kit.quoted(KEY).encode(), b"5"),
    "envelope-null": payload(envelope="").replace(b'"envelope":""', b'"envelope":null'),
    **{
        f"without-{field}": payload().replace(f'"{field}"'.encode(), b'"x"')
        for field in ("bucket", "checksum", "created", "envelope", "key", "upload_id")
    },
}


def uploads() -> Named:
    for label, data in GOOD.items():
        yield f"upload-{label}", upload(label, data, "success", f"an upload record: {label}")
    for label, data in BAD.items():
        comment = f"sealed correctly, not allowed: {label}"
        yield f"upload-bad-{label}", upload(label, data, "record", comment)
    name = FOLDER + "upload"
    record = kit.seal_record(payload(), AKS[1], 1, 3, name, draw("upload", "altered"))
    manifest = kit.seal_record(payload(), AKS[1], 1, 4, name, draw("upload", "manifest"))
    moved = kit.seal_record(payload(), AKS[1], 1, 3, "u/x/upload", draw("upload", "moved"))
    cases = {
        "altered": flip(record, 40),
        "cut": record[:-1],
        "as-manifest": manifest,
        "of-another-folder": moved,
    }
    for label, data in cases.items():
        vector_ = upload(label, payload(), "record", f"the record: {label}", altered=data)
        yield f"upload-record-{label}", vector_
    unknown = upload("version", b"", "version", "another version", altered=b"\2" + record[1:])
    yield "upload-record-version", unknown


KEY_OF_PARTS = kit.part_record_key(AKS[1], SALT, FOLDER)


def fields_of(label: str, size: int = 1000, checksum: int = 0) -> kit.PartFields:
    digest = draw("part-record", label, count=kit.LENGTHS[checksum][0]) if checksum else b""
    drawn = [draw("part-record", label, i) for i in range(4)]
    extra = (checksum, digest) if checksum else None
    return kit.PartFields(drawn[0], size, drawn[1], drawn[2], drawn[3][:8], extra)


def seal(label: str, data: bytes, number: int = 7, folder: str = FOLDER) -> str:
    nonce = draw("part-record", label, "nonce", count=12)
    return kit.seal_part_record(data, KEY_OF_PARTS, folder, number, nonce)


def part_record(component: str, expect: str, comment: str, data: bytes = b"") -> Vector:
    """A vector of kind "part-record": a name, and what its key is derived from; no blob."""
    fields = [
        ("expect", expect if expect == "success" else f"{expect} failure"),
        ("payload", kit.sha256(data)),
        ("comment", comment),
        ("kind", "part-record"),
        ("ak", AKS[1].hex()),
        ("part-key-salt", SALT.hex()),
        ("folder", kit.quoted(FOLDER)),
        ("component", kit.quoted(component)),
    ]
    return vector(fields, b"")


def good_part_records() -> Named:
    for number, size in ((1, 0), (7, 1000), (10_000, 2**43)):
        label = f"{number}-{size}"
        data = fields_of(label, size).payload()
        comment = f"part {number}, {size} plain bytes"
        vector_ = part_record(seal(label, data, number), "success", comment, data)
        yield f"part-record-{label}", vector_
    for tag in range(0x10, 0x1B):
        label = f"checksum-{tag:02x}"
        data = fields_of(label, checksum=tag).payload()
        component = seal(label, data)
        assert len(component) <= 216
        vector_ = part_record(component, "success", f"with a checksum, tag {tag:02x}", data)
        yield f"part-record-{label}", vector_


PAYLOADS: dict[str, Callable[[bytes], bytes]] = {
    "short": lambda data: data[:63],
    "none": lambda _: b"",
    "size-huge": lambda data: data[:16] + kit.u64(2**43 + 1) + data[24:],
    "size-max": lambda data: data[:16] + b"\xff" * 8 + data[24:],
    "tag-0": lambda data: data + b"\0",
    "tag-etag": lambda data: data + b"\2" + bytes(16),
    "tag-1b": lambda data: data + b"\x1b" + bytes(8),
    "tag-alone": lambda data: data + b"\x10",
    "checksum-short": lambda data: data + b"\x10" + bytes(3),
    "checksum-long": lambda data: data + b"\x10" + bytes(5),
    "checksum-twice": lambda data: data + (b"\x10" + bytes(4)) * 2,
    "too-long": lambda data: data + b"\x15" + bytes(65),
}


def names(good: str) -> dict[str, str]:
    """Names that are not the one that was sealed."""
    number, sealed = good.split("-", 1)
    last = sealed[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return {
        "other-number": f"00008-{sealed}",
        "number-0": f"00000-{sealed}",
        "number-10001": f"10001-{sealed}",
        "number-4-digits": f"0007-{sealed}",
        "number-6-digits": f"000007-{sealed}",
        "number-arabic": f"0000\u0667-{sealed}",
        "number-signed": f"+0007-{sealed}",
        "separator": f"{number}_{sealed}",
        "upload": "upload",
        "empty": "",
        "nothing-sealed": f"{number}-",
        "cut": good[:-1],
        "cut-4": good[:-4],
        "cut-tag": good[: 6 + 100],
        "appended": good + "AAAA",
        "appended-newline": good + "\n",
        "padded": good + "=" * (-len(sealed) % 4 or 4),
        "foreign-characters": f"{number}-{sealed[:8]}!!!!{sealed[8:]}",
        "plus": f"{number}-+{sealed[1:]}",
        "trailing-bits": good[:-1] + alphabet[alphabet.index(last) ^ 1],
        "altered-nonce": f"{number}-{'B' if sealed[0] != 'B' else 'C'}{sealed[1:]}",
        "altered-payload": good[:40] + ("B" if good[40] != "B" else "C") + good[41:],
        "altered-tag": good[:-4] + ("B" if good[-4] != "B" else "C") + good[-3:],
        "longest": f"{number}-{'A' * 300}",
        "not-ascii": f"{number}-\u00e9{sealed[1:]}",
    }


def bad_part_records() -> Named:
    data = fields_of("bad").payload()
    for label, component in names(seal("bad", data)).items():
        vector_ = part_record(component, "record", f"another name than was sealed: {label}")
        yield f"part-record-bad-{label}", vector_
    for label, change in PAYLOADS.items():
        comment = f"sealed correctly, not allowed: {label}"
        vector_ = part_record(seal(label, change(data)), "record", comment)
        yield f"part-record-bad-{label}", vector_
    component = seal("folder", data, folder="u/" + "0" * 32 + "/")
    yield (
        "part-record-bad-folder",
        part_record(component, "record", "of another upload's folder"),
    )
    other = kit.part_record_key(AKS[1], draw("another salt"), FOLDER)
    component = kit.seal_part_record(data, other, FOLDER, 7, draw("salt", count=12))
    yield "part-record-bad-salt", part_record(component, "record", "of another part key salt")


def upload_records() -> Named:
    for group in (uploads, good_part_records, bad_part_records):
        yield from group()
